"""Control flow as a machine: straight blocks, and one place for each kind of access.

A variable says which block is next, and a binary tree of ``if`` stands around them. Mesa's compiler counts only 80 levels of
branches, naga reads 127 braces, and compile time grows with the square of the number of accesses.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import DeviceError
from ...ir.model import Bounds, Op, Region, Value
from .prelude import held
from .structured import Structured
from .writer import Unit

MAX_BLOCKS = 6000
"""Blocks of a machine; beyond it no driver compiles in sensible time."""


def write_body(
    writer: Structured, name: str, heads: str, body: Region, results: Sequence[Value] = (), before: Sequence[str] = ()
) -> None:
    """Write a WGSL function for a body, which sets `results` by its ``yield``; `before` are its first lines."""
    writer.unit = Unit([*before])
    if writer.is_machine:
        Machine(writer).run(body, results)
    else:
        writer.region(body, results)
    writer.finished.append(f"fn {name}({heads}) {{\n" + "\n".join(writer.unit.lines) + "\n}\n")


class Machine:
    """A body as straight blocks with a tree of branches around them."""

    def __init__(self, writer: Structured) -> None:
        self.writer = writer
        self.blocks: list[list[str]] = []
        self.labels: dict[str, tuple[Op, int, int]] = {}
        self.state = writer.private(f"s{writer.code()}", "u32")
        self.requests: dict[str, int] = {}
        """Accesses by their statement, in order of number, from 1."""

    def run(self, body: Region, results: Sequence[Value] = ()) -> None:
        """Write the body into the writer's unit; its ``yield`` sets `results` and returns."""
        writer, outer = self.writer, self.writer.unit
        self.start(self.new())
        self.region(body, results, None)
        self.finish()
        if len(self.blocks) > MAX_BLOCKS:
            raise DeviceError(
                f"kernel {writer.kernel.name}: {len(self.blocks)} blocks, more than the {MAX_BLOCKS} that a driver compiles"
            )
        writer.unit = outer
        outer.add(f"{self.state} = 0u;")
        with writer.braces("loop"):
            writer.tree(self.state, 0, len(self.blocks), self.leaf)
            if self.requests:
                outer.add("let request = gb_request;")
                outer.add("gb_request = 0u;")
                for statement, number in self.requests.items():
                    outer.add(f"if request == {number}u {{ {statement} }}")

    def leaf(self, place: int) -> None:
        for line in self.blocks[place]:
            self.writer.unit.add(line)

    def new(self) -> int:
        """Number of a new block."""
        self.blocks.append([])
        return len(self.blocks) - 1

    def start(self, block: int) -> None:
        """Write into a block from here on."""
        self.current = block
        self.writer.block += 1
        self.writer.unit = Unit(indent=0)

    def finish(self) -> None:
        """Keep what was written into the block."""
        self.blocks[self.current] = self.writer.unit.lines

    def go(self, block: int) -> None:
        """End the block: another is next."""
        self.writer.unit.add(f"{self.state} = {block}u;")
        self.finish()

    def region(self, region: Region, results: Sequence[Value], after: int | None) -> None:
        writer = self.writer
        for op in region.operations:
            match op.name:
                case "yield":
                    writer.assign(results, op.operands)
                    if after is None:
                        writer.unit.add("return;")
                    else:
                        writer.unit.add(f"{self.state} = {after}u;")
                case "break" | "continue":
                    self.leave(op)
                case "if" | "switch":
                    self.branch(op)
                case "block" | "loop":
                    self.labelled(op)
                case "load" | "store":
                    self.access(op)
                case _:
                    writer.op(op)
        if region.operations[-1].name not in ("yield", "break", "continue", "return", "trap"):
            writer.unit.add("return;")

    def leave(self, op: Op) -> None:
        writer = self.writer
        if op.label not in self.labels:  # a label of the group
            writer.leave(op)
            return
        target, head, after = self.labels[op.label]
        if op.name == "continue":
            writer.burn(op)
        writer.assign(target.results if op.name == "break" else target.regions[0].parameters, op.operands)
        writer.unit.add(f"{self.state} = {after if op.name == 'break' else head}u;")

    def branch(self, op: Op) -> None:
        writer = self.writer
        blocks = [self.new() for _ in op.regions]
        after = self.new()
        for value in op.results:
            writer.variable(value)
        if op.name == "if":
            writer.unit.add(f"{self.state} = select({blocks[1]}u, {blocks[0]}u, {writer.use(op.operands[0])});")
        else:
            writer.unit.add(f"{self.state} = {blocks[0]}u + {writer.choice(op)};")
        self.finish()
        for block, region in zip(blocks, op.regions, strict=True):
            self.start(block)
            self.region(region, op.results, after)
            self.finish()
        self.start(after)

    def labelled(self, op: Op) -> None:
        writer = self.writer
        head, after = self.new(), self.new()
        for value in op.results:
            writer.variable(value)
        if op.name == "loop":
            writer.assign(op.regions[0].parameters, op.operands)
        self.go(head)
        self.labels[op.label] = (op, head, after)
        self.start(head)
        self.region(op.regions[0], op.results, after)
        self.finish()
        del self.labels[op.label]
        self.start(after)

    def access(self, op: Op) -> None:
        """Check here, and leave the access itself to the one place for its kind."""
        writer = self.writer
        assert op.memory is not None
        at, text = writer.place(op), writer.found.texts[op.memory]
        word = held(at.kind, writer.pairs)
        value = writer.private(f"q_{word.replace('<', '_').replace('>', '')}", word)
        if op.name == "load":
            number = self.request(f"{value} = {text.load(at.kind)}(gb_index);")
        else:
            number = self.request(f"{text.store(at.kind)}(gb_index, {value});")
            writer.unit.add(f"{value} = {writer.use(op.operands[1])};")
        writer.unit.add(f"gb_index = {at.index};")
        if op.bounds is Bounds.CLAMP and op.name == "store":
            writer.unit.add(f"gb_request = select({number}u, 0u, {at.outside});")
        else:
            writer.unit.add(f"gb_request = {number}u;")
        after = self.new()
        self.go(after)
        self.start(after)
        if op.name == "load":
            writer.define(op.result, writer.or_zero(at, value) if op.bounds is Bounds.CLAMP else value)

    def request(self, statement: str) -> int:
        self.writer.private("gb_index", "u32")
        self.writer.private("gb_request", "u32")
        return self.requests.setdefault(statement, len(self.requests) + 1)
