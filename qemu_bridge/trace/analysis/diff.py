"""The first divergence of two traces: ``glassbox trace diff``.

Blocks are compared by content (address, ring, mode, code), never by id, so traces of two machines compare. The streams of
one vCPU are walked side by side, a frame of each in memory at a time.

>>> diff_traces(TraceReader(Path("a.gbt")), TraceReader(Path("b.gbt"))).same_blocks
141487089
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..file.block_table import BlockTable
from ..file.frame import Blocks
from ..file.reader import TraceReader


@dataclass(frozen=True, slots=True)
class Difference:
    """How far two traces agree."""

    vcpu: int
    same_blocks: int
    """Blocks at the beginning that are the same in both."""
    same_instructions: int
    is_same: bool
    """Whether both end there."""
    left: str
    """What comes next, as text; "the end" if nothing does."""
    right: str
    only_left: int
    """Different blocks, by content, that run in one of the traces only."""
    only_right: int
    common: int


def diff_traces(left: TraceReader, right: TraceReader, vcpu: int = 0) -> Difference:
    """Compare the blocks of one vCPU; `UsageError` if one of the traces does not have it."""
    numbers: dict[bytes, int] = {}
    streams = [_stream(trace, vcpu, numbers) for trace in (left, right)]
    same = instructions = 0
    parts: list[tuple[npt.NDArray[np.int64], Blocks, int] | None] = [None, None]
    while True:
        for side in (0, 1):
            part = parts[side]
            while part is None or part[2] == len(part[0]):
                found = next(streams[side], None)
                if found is None:
                    part = None
                    break
                part = (*found, 0)
            parts[side] = part
        one, other = parts
        if one is None or other is None:
            break
        count = min(len(one[0]) - one[2], len(other[0]) - other[2])
        unlike = np.flatnonzero(one[0][one[2] : one[2] + count] != other[0][other[2] : other[2] + count])
        agreed = int(unlike[0]) if len(unlike) else count
        same += agreed
        instructions += int(one[1].instructions[one[2] : one[2] + agreed].sum(dtype=np.int64))
        parts = [(part[0], part[1], part[2] + agreed) for part in (one, other)]
        if len(unlike):
            break
    sets = [_contents(trace, numbers) for trace in (left, right)]
    return Difference(
        vcpu=vcpu,
        same_blocks=same,
        same_instructions=instructions,
        is_same=parts[0] is None and parts[1] is None,
        left=_describe(parts[0]),
        right=_describe(parts[1]),
        only_left=len(sets[0] - sets[1]),
        only_right=len(sets[1] - sets[0]),
        common=len(sets[0] & sets[1]),
    )


def _stream(trace: TraceReader, vcpu: int, numbers: dict[bytes, int]) -> Iterator[tuple[npt.NDArray[np.int64], Blocks]]:
    """Each frame's blocks, as numbers that mean the same content in both traces."""
    for blocks in trace.blocks(vcpu):
        own = np.array(_numbers(blocks.table, numbers), np.int64)
        # User code that ran elsewhere than where its block was first seen is something else.
        moved = (blocks.addresses - blocks.table.addresses[blocks.numbers]).astype(np.int64)
        yield own[blocks.numbers] + (moved << 24) if len(own) else np.empty(0, np.int64), blocks


def _numbers(table: BlockTable, numbers: dict[bytes, int]) -> list[int]:
    return [numbers.setdefault(_content(table, number), len(numbers)) for number in range(len(table))]


def _content(table: BlockTable, number: int) -> bytes:
    place = f"{table.addresses[number]:x} {table.rings[number]} {table.modes[number]} ".encode()
    return hashlib.blake2b(place + table.code(number), digest_size=16).digest()


def _contents(trace: TraceReader, numbers: dict[bytes, int]) -> set[int]:
    found: set[int] = set()
    for frame in trace.frames():
        found.update(_numbers(frame.dictionary, numbers))
    return found


def _describe(part: tuple[npt.NDArray[np.int64], Blocks, int] | None) -> str:
    if part is None:
        return "the end"
    _, blocks, index = part
    return f"{int(blocks.addresses[index]):#x}, {int(blocks.instructions[index])} instructions"
