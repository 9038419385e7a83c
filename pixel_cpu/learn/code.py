"""The code of a cyclic path: its instructions at the addresses where they follow each other.

A block of user code has the address where it was first seen, and shared pages are mapped elsewhere in another process. So blocks of one path may
say different addresses; a block's place in its page never differs, and where it follows from the one before is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from qemu_bridge.trace.analysis.mining import HotPath
from qemu_bridge.trace.file.block_table import BlockTable
from qemu_bridge.trace.file.records import Flow

_LONG_MODE = 64
_PAGE_MASK = 0xFFF
_MASK = (1 << 64) - 1
_CALLS = (0xE8, 0x9A)


@dataclass(frozen=True, slots=True)
class Placed:
    """Instructions by address, the address of each block by id, observed targets of indirect jumps by address.

    `own` are the blocks in no function that the path calls.
    """

    instructions: Mapping[int, bytes]
    addresses: Mapping[int, int]
    indirect: Mapping[int, tuple[int, ...]]
    own: frozenset[int]

    def moved(self, distance: int) -> Placed:
        """The same code `distance` bytes further on."""
        if not distance:
            return self
        return replace(
            self,
            instructions={at + distance & _MASK: code for at, code in self.instructions.items()},
            addresses={block: at + distance & _MASK for block, at in self.addresses.items()},
            indirect={
                at + distance & _MASK: tuple(target + distance & _MASK for target in targets)
                for at, targets in self.indirect.items()
            },
        )


def place_path(path: HotPath, known: Mapping[int, tuple[BlockTable, int]]) -> Placed | None:
    """The code of a path from the dictionaries of its blocks; None where it is no code of 64-bit mode, or its blocks do not follow each other.

    They do not where an exception, an interrupt or a system call lies between.
    """
    instructions: dict[int, bytes] = {}
    addresses: dict[int, int] = {}
    indirect: dict[int, tuple[int, ...]] = {}
    returns: list[int] = []
    expected: list[int] = []
    depths: dict[int, int] = {}
    last = depth = 0
    rings = {int(known[block][0].rings[known[block][1]]) for block in path.ids}
    if len(rings) > 1:
        return None
    for block in (*path.ids, path.ids[0]):
        table, number = known[block]
        if int(table.modes[number]) != _LONG_MODE:
            return None
        at = _address(table, number, expected, addresses.get(block))
        if at is None or addresses.setdefault(block, at) != at:
            return None
        depths[block] = min(depth, depths.get(block, depth))
        if last:
            indirect[last] = tuple(dict.fromkeys((*indirect.get(last, ()), at)))
        code, edges = table.code(number), np.cumsum(table.lengths(number), dtype=np.int64).tolist()
        starts = [0, *edges[:-1]]
        for start, end in zip(starts, edges, strict=True):
            if instructions.setdefault(at + start, code[start:end]) != code[start:end]:
                return None
        end, ending = at + edges[-1], table.endings[number]
        target = at + int(ending["target"]) - int(table.addresses[number]) & _MASK
        flow, opcode = int(ending["flow"]), int(ending["opcode"])
        last = 0
        if opcode in _CALLS and flow == Flow.JUMP:
            returns.append(end)
            depth += 1
        expected = [end, target] if flow in (Flow.NEXT, Flow.BRANCH, Flow.JUMP, Flow.REPEAT) else []
        if flow == Flow.ANY:
            last = at + starts[-1]
            depth += {"ret": -1, "call": 1}.get(_kind(code[starts[-1] :]), 0)
            expected = [returns.pop()] if returns and code[starts[-1] :] in (b"\xc3", b"\xf3\xc3") else []
        if flow == Flow.REPEAT:
            expected.append(at + starts[-1])
    least = min(depths.values())
    own = frozenset(block for block, found in depths.items() if found == least)
    return Placed(instructions, addresses, indirect, own)


def _kind(code: bytes) -> str:
    """Whether an instruction without a fixed target is a return or a call."""
    plain = code.lstrip(b"\xf3\xf2\x3e\x66")
    if plain[:1] in (b"\xc3", b"\xc2"):
        return "ret"
    plain = plain[1:] if plain[:1] and plain[0] & 0xF0 == 0x40 else plain
    return "call" if plain[:1] == b"\xff" and plain[1] >> 3 & 7 in (2, 3) else ""


def _address(table: BlockTable, number: int, expected: list[int], before: int | None) -> int | None:
    """Where a block stands: where the one before leads, if that is the same place of a page."""
    own = int(table.addresses[number])
    if own in expected or not expected:
        return own if before is None else before
    return next((each for each in expected if each & _PAGE_MASK == own & _PAGE_MASK), None)
