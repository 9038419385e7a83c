"""Control flow as WGSL has it: ``if``, trees of branches for ``switch``, and loops that are left level by level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...ir.model import Kernel, Module, Op, Region, Value, walk
from .writer import Writer


@dataclass
class Label:
    """A ``block`` or ``loop``, and the numbers that say who is on the way out of it, or to its head."""

    op: Op
    leave: int
    again: int


class Structured(Writer):
    """Writes regions."""

    def __init__(
        self, module: Module, kernel: Kernel, group: int, pairs: bool, is_machine: bool, shared: frozenset[Value] | None
    ) -> None:
        super().__init__(module, kernel, group, pairs, is_machine, shared)
        self.labels: dict[str, Label] = {}
        self.inner: list[str] = []
        """Labels of the WGSL loops around, innermost last."""

    def region(self, region: Region, results: Sequence[Value]) -> None:
        """Write a region; `results` are what its ``yield`` defines."""
        for op in region.operations:
            if op.name == "yield":
                self.assign(results, op.operands)
            else:
                self.op(op)

    def op(self, op: Op) -> None:
        """Write one operation."""
        match op.name:
            case "if":
                self.write_if(op)
            case "switch":
                self.write_switch(op)
            case "block":
                self.write_labelled(op)
            case "loop":
                self.assign(op.regions[0].parameters, op.operands)
                self.write_labelled(op)
            case "break" | "continue":
                self.leave(op)
            case "trap":
                self.end(self.site(op, op.text or "trap"))
            case "return":
                self.write_return(op)
            case _:
                self.step(op)

    def write_if(self, op: Op) -> None:
        for value in op.results:
            self.variable(value)
        with self.braces(f"if {self.use(op.operands[0])}"):
            self.region(op.regions[0], op.results)
        if len(op.regions[1].operations) > 1 or op.results or op.regions[1].operations[0].name != "yield":
            with self.braces("else"):
                self.region(op.regions[1], op.results)

    def write_switch(self, op: Op) -> None:
        for value in op.results:
            self.variable(value)
        chosen = self.private(f"c{self.code()}", "u32")
        self.unit.add(f"{chosen} = {self.choice(op)};")
        self.tree(chosen, 0, len(op.regions), lambda place: self.region(op.regions[place], op.results))

    def write_labelled(self, op: Op) -> None:
        """A ``block`` or ``loop`` as a WGSL loop."""
        for value in op.results:
            self.variable(value)
        body = op.regions[0]
        exits = {(inner.name, inner.label) for inner in walk(body) if inner.name in ("break", "continue")}
        self.labels[op.label] = Label(op, self.code(), self.code())
        self.inner.append(op.label)
        with self.braces("loop"):
            self.region(body, op.results)
            if body.operations[-1].name == "yield":
                self.unit.add("break;")
        self.inner.pop()
        del self.labels[op.label]
        self.pass_on({(name, label) for name, label in exits if label in self.inner})

    def pass_on(self, exits: set[tuple[str, str]]) -> None:
        """After a WGSL loop: go on leaving where somebody is on the way to a label further out."""
        if not exits or not self.inner:
            return
        label = self.labels[self.inner[-1]]
        if ("continue", label.op.label) in exits:
            with self.braces(f"if gb_to == {label.again}u"):
                self.unit.add("gb_to = 0u;")
                self.unit.add("continue;")
        if ("break", label.op.label) in exits:
            with self.braces(f"if gb_to == {label.leave}u"):
                self.unit.add("gb_to = 0u;")
                self.unit.add("break;")
        if any(target != label.op.label for _, target in exits):
            self.unit.add("if gb_to != 0u { break; }")

    def leave(self, op: Op) -> None:
        label = self.labels[op.label]
        if op.name == "continue":
            self.burn(op)
        self.assign(label.op.results if op.name == "break" else label.op.regions[0].parameters, op.operands)
        code = label.leave if op.name == "break" else label.again
        if op.label not in self.inner:  # a label of the group: this piece ends
            self.unit.add(f"gb_at = {code}u;")
            self.unit.add("return;")
        elif self.inner[-1] == op.label:
            self.unit.add(f"{op.name};")
        else:
            self.unit.add(f"gb_to = {code}u;")
            self.unit.add("break;")
