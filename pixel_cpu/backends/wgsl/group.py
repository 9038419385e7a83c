"""Kernels with barriers, which every invocation must reach, also one whose lane has ended or never was.

The kernel is cut in *pieces*, functions without barriers, and what holds pieces together runs for all invocations of a group:
`gb_at` says where an invocation is heading (0: here), and the group votes which regions to enter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...ir.model import Op, Region, Value, walk
from .machine import write_body
from .structured import Label, Structured
from .writer import Unit


class Group:
    """What all invocations of a group run: pieces, barriers, and votes on the way; `lines` are statements of ``main``."""

    def __init__(self, writer: Structured) -> None:
        self.writer = writer
        self.lines = ["  gb_at = select(GB_GONE, 0u, gb_lane < gb_p.lanes);"]
        self.indent = 1
        self.pieces = 0

    def run(self) -> None:
        """Cut the kernel in pieces."""
        body = self.writer.kernel.body
        self.writer.crossing = frozenset(_crossing(body))
        self.region(body, ())

    def add(self, line: str) -> None:
        self.lines.append("  " * self.indent + line)

    def region(self, region: Region, results: Sequence[Value]) -> None:
        piece: list[Op] = []
        for op in region.operations:
            if op.name != "barrier" and not _has_barrier(op):
                piece.append(op)
                continue
            self.piece(piece, ())
            piece = []
            if op.name == "barrier":
                self.add("storageBarrier(); workgroupBarrier();")
            else:
                self.branch(op)
        self.piece(piece, results)

    def piece(self, operations: list[Op], results: Sequence[Value]) -> None:
        """Straight to a function: a return in it ends the piece."""
        if not operations or (len(operations) == 1 and operations[0].name == "yield" and not results):
            return
        self.pieces += 1
        name = f"gb_piece{self.pieces}"
        for value in results:
            self.writer.variable(value)
        self.writer.inner = []
        write_body(self.writer, name, "", Region(operations), results)
        self.add(f"if gb_at == 0u {{ {name}(); if gb_dead {{ gb_at = GB_GONE; }} }}")

    def branch(self, op: Op) -> None:
        if op.name in ("if", "switch"):
            self.cases(op)
        else:
            self.labelled(op)

    def cases(self, op: Op) -> None:
        """Each region for those that take it, where somebody does."""
        writer = self.writer
        waits, joins = writer.code(), writer.code()
        chosen = writer.private(f"c{writer.code()}", "u32")
        for value in op.results:
            writer.variable(value)
        way = f"select(1u, 0u, {writer.use(op.operands[0])})" if op.name == "if" else writer.choice(op)
        self.add(f"if gb_at == 0u {{ {chosen} = {way}; }}")
        for place, region in enumerate(op.regions):
            self.add(f"if gb_at == 0u && {chosen} != {place}u {{ gb_at = {waits}u; }}")
            self.add("if gb_anyone(gb_at == 0u) {")
            self.indent += 1
            self.region(region, op.results)
            self.indent -= 1
            self.add("}")
            self.add(f"if gb_at == 0u {{ gb_at = {joins}u; }}")
            self.add(f"if gb_at == {waits}u {{ gb_at = 0u; }}")
        self.add(f"if gb_at == {joins}u {{ gb_at = 0u; }}")

    def labelled(self, op: Op) -> None:
        writer = self.writer
        label = writer.labels[op.label] = Label(op, writer.code(), writer.code())
        for value in op.results:
            writer.variable(value)
        if op.name == "block":
            self.region(op.regions[0], op.results)
        else:
            writer.unit = Unit()
            writer.assign(op.regions[0].parameters, op.operands)
            self.add("if gb_at == 0u {")
            self.lines += [f"{'  ' * self.indent}{line}" for line in writer.unit.lines]
            self.add("}")
            self.add("loop {")
            self.indent += 1
            self.add("if !gb_anyone(gb_at == 0u) { break; }")
            self.region(op.regions[0], ())
            self.add(f"if gb_at == {label.again}u {{ gb_at = 0u; }}")
            self.indent -= 1
            self.add("}")
        self.add(f"if gb_at == {label.leave}u {{ gb_at = 0u; }}")
        del writer.labels[op.label]


def _has_barrier(op: Op) -> bool:
    return any(inner.name == "barrier" for region in op.regions for inner in walk(region))


def _crossing(region: Region) -> Iterator[Value]:
    """Values that a region with barriers defines itself: its pieces share them."""
    for op in region.operations:
        yield from op.results
        if _has_barrier(op):
            for inner in op.regions:
                yield from _crossing(inner)
