"""The first instruction in which two traces differ: ``glassbox trace diff``.

What is compared is instructions, by content (address, ring, mode, code): QEMU cuts the same code into other blocks when it
records, replays or single-steps, and ids mean nothing beyond one trace. Where both traces are at the beginning of a block
whole blocks are compared; instructions only from where they differ up to where blocks begin together again. The streams of
one vCPU are walked side by side, a frame of each in memory at a time.

>>> diff_traces(TraceReader(Path("record.gbt")), TraceReader(Path("replay.gbt"))).is_same
True
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..file.block_table import BlockTable
from ..file.frame import Blocks
from ..file.reader import TraceReader

I64 = npt.NDArray[np.int64]

_STEP = 1 << 14
"""Blocks whose instructions are compared at a time."""
_MOVED_AT = 24
"""User code that ran elsewhere than where its block was first seen is something else: whole pages away, so its key differs here."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far two traces agree."""

    vcpu: int
    same_blocks: int
    """Of the left trace, those at the beginning whose instructions all agree."""
    same_instructions: int
    is_same: bool
    """Whether both end there."""
    left: str
    """What comes next, as text; "the end" if nothing does."""
    right: str
    only_left: int
    """Different instructions, by address and code, that run in one of the traces only, on any vCPU."""
    only_right: int
    common: int


def diff_traces(left: TraceReader, right: TraceReader, vcpu: int = 0) -> Difference:
    """Compare the instructions of one vCPU; `UsageError` if one of the traces does not have it."""
    contents = _Contents()
    ran = (_Executed(contents), _Executed(contents))
    sides = [_Stream(seen.watch(trace.blocks(vcpu)), contents) for trace, seen in zip((left, right), ran, strict=True)]
    while all([side.load() for side in sides]) and _agree(*sides):
        pass
    ended = [not side.load() for side in sides]
    places = [side.describe() for side in sides]
    for trace, side, seen in zip((left, right), sides, ran, strict=True):
        seen.read(side.rest, *(trace.blocks(other) for other in range(trace.vcpus) if other != vcpu))
    one, other = (seen.instructions for seen in ran)
    return Difference(
        vcpu=vcpu,
        same_blocks=sides[0].blocks_before,
        same_instructions=sides[0].instructions_before,
        is_same=all(ended),
        left=places[0],
        right=places[1],
        only_left=len(one - other),
        only_right=len(other - one),
        common=len(one & other),
    )


def _agree(one: _Stream, other: _Stream) -> bool:
    """Move both on by what agrees; False where they differ."""
    if one.within == other.within == 0:
        count = min(one.remaining, other.remaining)
        ahead, others = one.ahead(count), other.ahead(count)
        unlike = np.flatnonzero((ahead[0] != others[0]) | (ahead[1] != others[1]))
        agreed = int(unlike[0]) if len(unlike) else count
        one.skip_blocks(agreed)
        other.skip_blocks(agreed)
        if agreed:
            return True
    first, first_ends = one.instructions(_STEP)
    second, second_ends = other.instructions(_STEP)
    count = min(len(first), len(second))
    unlike = np.flatnonzero(first[:count] != second[:count])
    if len(unlike):
        one.skip_instructions(int(unlike[0]))
        other.skip_instructions(int(unlike[0]))
        return False
    # Up to the last place where blocks begin together, if there is one: from there whole blocks may agree again.
    together = np.intersect1d(first_ends, second_ends)
    together = together[together <= count]
    count = int(together[-1]) if len(together) else count
    one.skip_instructions(count)
    other.skip_instructions(count)
    return True


class _Contents:
    """Numbers that mean the same content in both traces, for blocks and for instructions."""

    def __init__(self) -> None:
        self._blocks: dict[bytes, int] = {}
        self._instructions: dict[tuple[int, int, int, bytes], int] = {}
        self._keys: dict[int, I64] = {}

    def blocks_of(self, table: BlockTable) -> I64:
        """The number of each block of a table."""
        blocks = self._blocks
        return np.array([blocks.setdefault(_content(table, at), len(blocks)) for at in range(len(table))], np.int64)

    def instructions_of(self, table: BlockTable, at: int, block: int) -> I64:
        """The number of each instruction of block `at`, whose number is `block`."""
        found = self._keys.get(block)
        if found is None:
            lengths, code = table.lengths(at).tolist(), table.code(at)
            address, ring, mode = int(table.addresses[at]), int(table.rings[at]), int(table.modes[at])
            keys, start = [], 0
            for length in lengths:
                content = (address + start, ring, mode, code[start : start + length])
                keys.append(self._instructions.setdefault(content, len(self._instructions)))
                start += length
            found = self._keys[block] = np.array(keys, np.int64)
        return found


class _Stream:
    """The blocks of one vCPU and a place in them.

    Attributes:
        within: instructions between the beginning of the block there and the place.
        blocks_before, instructions_before: how many lie before the place.
        rest: frames that were not read yet.
    """

    def __init__(self, frames: Iterator[Blocks], contents: _Contents) -> None:
        self.rest, self._contents = frames, contents
        self._blocks: Blocks | None = None
        self._numbers = self._keys = np.empty(0, np.int64)
        self._at = 0
        self.within = self.blocks_before = self.instructions_before = 0

    def load(self) -> bool:
        """Read frames until there is a block ahead; False at the end."""
        while not self.remaining:
            self._blocks, self._at, self._keys = next(self.rest, None), 0, np.empty(0, np.int64)
            if self._blocks is None:
                return False
            blocks = self._blocks
            self._numbers = self._contents.blocks_of(blocks.table)
            moved = (blocks.addresses - blocks.table.addresses[blocks.numbers]).astype(np.int64) << _MOVED_AT
            self._keys = self._numbers[blocks.numbers] + moved if len(blocks) else np.empty(0, np.int64)
        return True

    @property
    def remaining(self) -> int:
        """Blocks ahead in this frame, the one that is begun included."""
        return len(self._keys) - self._at

    def ahead(self, count: int) -> tuple[I64, npt.NDArray[np.uint16]]:
        """Keys and executed instructions of the next blocks."""
        assert self._blocks is not None
        return self._keys[self._at : self._at + count], self._blocks.instructions[self._at : self._at + count]

    def instructions(self, blocks: int) -> tuple[I64, I64]:
        """Keys of the instructions ahead in that many blocks, and how many of them lie before the end of each block."""
        assert self._blocks is not None
        window = slice(self._at, self._at + blocks)
        numbers, begun = self._blocks.numbers[window], self._blocks.instructions[window].astype(np.int64)
        used, which = np.unique(numbers, return_inverse=True)
        table = self._blocks.table
        parts = [self._contents.instructions_of(table, at, int(self._numbers[at])) for at in used.tolist()]
        starts = np.cumsum([0, *(len(part) for part in parts[:-1])])
        ends = np.cumsum(begun)
        places = np.repeat(starts[which] - (ends - begun), begun) + np.arange(ends[-1])
        moved = np.repeat(self._keys[window] - self._numbers[numbers], begun)
        return (np.concatenate(parts)[places] + moved)[self.within :], ends - self.within

    def skip_blocks(self, count: int) -> None:
        """Move on by whole blocks."""
        assert self._blocks is not None
        begun = self._blocks.instructions[self._at : self._at + count]
        self.instructions_before += int(begun.sum(dtype=np.int64))
        self.blocks_before += count
        self._at += count

    def skip_instructions(self, count: int) -> None:
        """Move on by instructions, within this frame."""
        assert self._blocks is not None
        self.instructions_before += count
        self.within += count
        while self._at < len(self._keys) and self.within >= int(self._blocks.instructions[self._at]):
            self.within -= int(self._blocks.instructions[self._at])
            self.blocks_before += 1
            self._at += 1

    def describe(self) -> str:
        """The instruction ahead, as text."""
        if not self.remaining or self._blocks is None:
            return "the end"
        blocks, at = self._blocks, self._at
        start = int(blocks.table.lengths(int(blocks.numbers[at]))[: self.within].sum())
        left = int(blocks.instructions[at]) - self.within
        return f"{int(blocks.addresses[at]) + start:#x}, {left} instructions"


def _content(table: BlockTable, number: int) -> bytes:
    place = f"{table.addresses[number]:x} {table.rings[number]} {table.modes[number]} ".encode()
    lengths = bytes(table.lengths(number))
    return hashlib.blake2b(place + lengths + table.code(number), digest_size=16).digest()


class _Executed:
    """Numbers of the instructions that ran."""

    def __init__(self, contents: _Contents) -> None:
        self.instructions: set[int] = set()
        self._contents = contents
        self._begun: dict[int, int] = {}

    def watch(self, frames: Iterator[Blocks]) -> Iterator[Blocks]:
        """The same frames, counted as they go by."""
        for blocks in frames:
            self._add(blocks)
            yield blocks

    def read(self, watched: Iterator[Blocks], *others: Iterator[Blocks]) -> None:
        """Count what is left of frames that are watched, and others."""
        for _ in itertools.chain(watched, *(self.watch(frames) for frames in others)):
            pass

    def _add(self, blocks: Blocks) -> None:
        table = blocks.table
        most, whole = np.zeros(len(table), np.uint16), table.instructions[blocks.numbers]
        cut = blocks.instructions < whole
        most[blocks.numbers[~cut]] = whole[~cut]
        np.maximum.at(most, blocks.numbers[cut], blocks.instructions[cut])
        for at, (number, count) in enumerate(zip(self._contents.blocks_of(table).tolist(), most.tolist(), strict=True)):
            if count > self._begun.get(number, 0):
                self._begun[number] = count
                self.instructions.update(self._contents.instructions_of(table, at, number)[:count].tolist())
