"""Who wrote this text, and which programs were started: stores of a trace with values (``glassbox trace find``, ``trace commands``).

Stores that one vCPU makes one behind the other, to ascending addresses without a hole, are read as one text: so ``memcpy``, ``rep movs`` and
byte loops write.

>>> with TraceReader(Path("demo.gbt")) as trace:
...     [(hex(found.root), found.text) for found in find_written(trace, re.compile(rb"needle"))]
[('0x2d4a000', b'a needle in a haystack\\n')]
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ...errors import UsageError
from ...memory.addresses import PAGE_SIZE
from ...wire.records import AnyAddress
from ..file.frame import Blocks, Frame
from ..file.reader import TraceReader

_WIDEST = 16
_SHOWN = 256
"""Bytes of a text that are shown, from the match on."""
_PAGE_MASK = ~np.uint64(PAGE_SIZE - 1)
_END_OF_STACK = np.uint64(PAGE_SIZE - 8)
_HEADS = 4
"""Runs of stores, before the one that ends a file's name, that may have begun it."""
_FAR = 1 << 16
"""Runs of stores, behind that of the file's name, among which its arguments are."""
_NAME = re.compile(rb"[^\0-\x1f]+\0")
_VARIABLE = re.compile(r"[A-Z_][A-Za-z0-9_]*=")


@dataclass(frozen=True, slots=True)
class Written:
    """A match in what was stored."""

    vcpu: int
    instruction: int
    """Number, among all instructions of the vCPU, of the first of its block."""
    root: AnyAddress
    """Page-table root (CR3) that was loaded; 0 if it is not known."""
    code: AnyAddress
    """Address of the block that stored the first byte."""
    address: AnyAddress
    """Where the match begins, a linear address."""
    text: bytes
    """What was written there, from the match on."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program that a process began to execute."""

    vcpu: int
    instruction: int
    """Number, among all instructions of the vCPU, of the block that wrote its name onto the new stack."""
    root: AnyAddress
    """Page-table root (CR3) of the process before: after a fork, of the child."""
    file: str
    """What was given to the kernel to execute."""
    arguments: tuple[str, ...]


def find_written(trace: TraceReader, pattern: re.Pattern[bytes]) -> Iterator[Written]:
    """Each place where stores wrote what `pattern` matches, in the order of frames; `UsageError` for a trace without values."""
    if pattern.match(b""):
        raise UsageError("an empty pattern matches everywhere; give at least one byte")
    for stores in _iter_stores(trace):
        yield from _find_in(stores, pattern)


def find_commands(trace: TraceReader) -> Iterator[Command]:
    """Each program that was started, with its arguments, in the order of frames; `UsageError` for a trace without values.

    Linux (``fs/exec.c``) writes the file's name to the end of the new stack, eight bytes before the end of its page, and below it the
    environment and the arguments, the last one first. Strings behind the first page are not followed. What looks like a variable
    (``PATH=…``, in capitals) at the end belongs to the environment.
    """
    for stores in _iter_stores(trace):
        yield from _commands_in(stores)


def _iter_stores(trace: TraceReader) -> Iterator[_Stores]:
    has_values = False
    for frame in trace.frames():
        for vcpu in range(trace.vcpus):
            stores = _Stores(frame, vcpu)
            if len(stores.at):
                has_values = True
                yield stores
    if not has_values:
        raise UsageError("the trace has no values of stores; record it with --values")


class _Stores:
    """The stores with values of one vCPU in one frame, in runs to ascending addresses without a hole."""

    def __init__(self, frame: Frame, vcpu: int) -> None:
        accesses = frame.memory(vcpu)
        self.frame, self.vcpu = frame, vcpu
        self.at = np.flatnonzero(accesses.stores & accesses.has_values)
        self.addresses, self.sizes = accesses.addresses[self.at], accesses.sizes[self.at].astype(np.int64)
        self.owners = accesses.blocks[self.at]
        self.ends = np.cumsum(self.sizes)
        self.content = _bytes_of(accesses.values[self.at], self.sizes)
        breaks = np.flatnonzero(self.addresses[1:] != self.addresses[:-1] + self.sizes[:-1].astype(np.uint64))
        self.last = np.append(breaks, len(self.at) - 1)
        """The last store of each run."""

    def where(self, store: int) -> tuple[int, int, int]:
        """(first instruction of its block, page-table root, address of the block) of store number `store`."""
        blocks, block = self._blocks, int(self.owners[store]) - self._blocks.first_block
        return int(self._begun[block]), int(self._roots[block]), int(blocks.addresses[block])

    @cached_property
    def _blocks(self) -> Blocks:
        return self.frame.blocks(self.vcpu)

    @cached_property
    def _roots(self) -> npt.NDArray[np.uint64]:
        return self.frame.roots(self.vcpu)

    @cached_property
    def _begun(self) -> npt.NDArray[np.uint64]:
        lengths = self._blocks.instructions
        return np.cumsum(lengths, dtype=np.uint64) - lengths + np.uint64(self._blocks.first_instruction)


def _commands_in(stores: _Stores) -> Iterator[Command]:
    first = np.append(0, stores.last[:-1] + 1)
    low = stores.addresses[first]
    high = stores.addresses[stores.last] + stores.sizes[stores.last].astype(np.uint64)
    start, end = stores.ends[first] - stores.sizes[first], stores.ends[stores.last]
    pages, is_kernel = low & _PAGE_MASK, low >> np.uint64(63) == 1
    is_inside = is_kernel & (high - low <= PAGE_SIZE) & (high & _PAGE_MASK == pages)
    done = -1
    for run in np.flatnonzero(is_inside & (high - pages == _END_OF_STACK)).tolist():
        instruction, root, _ = stores.where(int(first[run]))
        # A copy may write its end twice.
        if instruction == done or not _NAME.fullmatch(stores.content[start[run] : end[run]]):
            continue
        done = instruction
        # What is written into the page from here on, until the next program's name.
        image, is_written = bytearray(PAGE_SIZE), np.zeros(PAGE_SIZE, np.bool_)
        begin = max(0, run - _HEADS)
        near = slice(begin, run + _FAR)
        for piece in (begin + np.flatnonzero(is_inside[near] & (pages[near] == pages[run]))).tolist():
            if high[piece] == high[run] and stores.where(int(first[piece]))[0] != instruction:
                break
            at, size = int(low[piece] - pages[piece]), int(end[piece] - start[piece])
            image[at : at + size] = stores.content[start[piece] : end[piece]]
            is_written[at : at + size] = True
        edge = int(_END_OF_STACK)
        lowest = edge - int(np.argmin(is_written[:edge][::-1]))
        *strings, file = [string.decode("utf-8", "replace") for string in bytes(image[lowest:edge]).split(b"\0")[:-1]]
        while strings and _VARIABLE.match(strings[-1]):
            strings.pop()
        if strings:
            yield Command(stores.vcpu, instruction, root, file, tuple(strings))


def _find_in(stores: _Stores, pattern: re.Pattern[bytes]) -> Iterator[Written]:
    for match in pattern.finditer(stores.content):
        first = int(np.searchsorted(stores.ends, match.start(), "right"))
        run_end = int(stores.ends[stores.last[np.searchsorted(stores.last, first)]])
        if match.end() > run_end:
            continue
        instruction, root, code = stores.where(first)
        start = int(stores.ends[first] - stores.sizes[first])
        address = int(stores.addresses[first]) + match.start() - start
        text = stores.content[match.start() : min(run_end, match.start() + _SHOWN)]
        yield Written(stores.vcpu, instruction, root, code, address, text)


def _bytes_of(values: npt.NDArray[np.uint64], sizes: npt.NDArray[np.int64]) -> bytes:
    """The bytes of stores, one behind the other."""
    rows = np.ascontiguousarray(values).view(np.uint8).reshape(-1, _WIDEST)
    return rows[np.arange(_WIDEST) < sizes[:, None]].tobytes()
