"""Liveness: which bytes of registers and temporaries may still be read, node by node.

A set of bytes is an integer with a bit for each byte; so a write of ``eax`` ends the life of four bytes of ``rax``, and of eight where p-code
extends it with zeros. Flags that nothing reads before they are written again are never alive, and are not computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from .flow import Exit, Flow, Node
from .flow import Position as Position
from .pcode import Instruction, PcodeOp, Varnode
from .registers import HIDDEN, Cell, cells_of


class Bytes:
    """Numbers the bytes of cells, so that a set of them is an integer."""

    def __init__(self) -> None:
        self._bases: dict[Cell, int] = {}

    def _base(self, cell: Cell) -> int:
        return self._bases.setdefault(cell, 8 * len(self._bases))

    def of(self, varnode: Varnode) -> int:
        """The bytes of a register or temporary; none for constants and memory."""
        if varnode.space not in ("register", "unique"):
            return 0
        found = 0
        for cell, first, size in cells_of(varnode):
            found |= ((1 << size) - 1) << self._base(cell) + first
        return found

    def of_cells(self, cells: Iterable[Cell]) -> int:
        """All bytes of these cells."""
        found = 0
        for cell in cells:
            found |= ((1 << cell.size) - 1) << self._base(cell)
        return found

    def cells(self, set_: int) -> set[Cell]:
        """Cells with a byte in the set."""
        return {cell for cell, base in self._bases.items() if set_ >> base & 0xFF}


def reads(op: PcodeOp) -> tuple[Varnode, ...]:
    """What an operation reads. ``xor`` and ``sub`` of something with itself read nothing."""
    if op.name in ("INT_XOR", "INT_SUB") and op.inputs[0] == op.inputs[1]:
        return ()
    return op.inputs


def step(known: Bytes, ops: Iterable[tuple[Instruction, PcodeOp]], live: int) -> int:
    """What is alive before `ops` of what is alive behind them; `ops` are in reverse order."""
    for _, op in ops:
        if op.output is not None:
            live &= ~known.of(op.output)
        for varnode in reads(op):
            live |= known.of(varnode)
    return live


def live_before(flow: Flow, known: Bytes, at_exit: Callable[[int], int], at_head: int = 0) -> Mapping[Position, int]:
    """What is alive at the beginning of each node. `at_exit` gives what is alive at an address outside, None anywhere else; `at_head` is alive at the head too."""
    live = dict.fromkeys(flow.order, 0)
    is_changed = True
    while is_changed:
        is_changed = False
        for place in reversed(flow.order):
            found = _before(flow.nodes[place], known, live, at_exit)
            if place == flow.head:
                found |= at_head
            if found != live[place]:
                live[place], is_changed = found, True
    return live


def _before(node: Node, known: Bytes, live: Mapping[Position, int], at_exit: Callable[[int], int]) -> int:
    found = at_exit(ANYWHERE) if node.indirect is not None else 0
    for target in node.targets:
        found |= at_exit(target.address) if isinstance(target, Exit) else live[target]
    if node.selected:
        found |= step(known, reversed(node.selected), found)
    for varnode in (node.condition, node.indirect):
        if varnode is not None:
            found |= known.of(varnode)
    return step(known, reversed(node.ops), found)


ANYWHERE = -1
"""Stands for the address of an exit that only the run knows."""


def written(flow: Flow) -> set[Cell]:
    """The registers that the loop may write, without hidden ones."""
    return {cell for node in flow.nodes.values() for cell in written_by(node) if cell.space == "register"}


def written_by(node: Node) -> set[Cell]:
    """The cells that a node may write, without hidden ones."""
    outputs = [op.output for _, op in (*node.ops, *node.selected) if op.output is not None]
    found = {cell for output in outputs if output.space in ("register", "unique") for cell, _, _ in cells_of(output)}
    return found - HIDDEN
