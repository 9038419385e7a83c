"""Calls replaced by the bodies of what they call, for back ends that know kernels alone.

A function's body becomes a ``block`` that its ``return`` leaves. Functions do not call themselves, so this ends; the verifier
bounds what comes out in depth, a back end that compiles for long in size.
"""

from __future__ import annotations

from dataclasses import replace

from ..errors import DeviceError
from ..ir.model import Kernel, Module, Op, Region, Value

MAX_OPERATIONS = 50_000
"""Operations of a kernel with its functions inside, at most."""


def inline(module: Module, kernel: Kernel) -> Kernel:
    """A copy of a verified kernel without calls; labels are unique in it, lines stay those of the source.

    Raises `DeviceError` where it would have more than `MAX_OPERATIONS` operations.
    """
    copier = _Copier(module)
    parameters = copier.fresh(kernel.parameters)
    body = copier.region(kernel.body, {}, None)
    return Kernel(kernel.name, parameters, kernel.memories, body, kernel.group)


class _Copier:
    def __init__(self, module: Module) -> None:
        self.module = module
        self.values: dict[Value, Value] = {}
        self.operations = self.labels = 0

    def fresh(self, values: tuple[Value, ...]) -> tuple[Value, ...]:
        """New values that stand for `values` from here on."""
        news = tuple(Value(value.type, value.name) for value in values)
        self.values.update(zip(values, news, strict=True))
        return news

    def new_label(self) -> str:
        self.labels += 1
        return f"L{self.labels}"

    def region(self, region: Region, labels: dict[str, str], exit_label: str | None) -> Region:
        """A copy. `labels` are the new names of open labels; `exit_label` is what a ``return`` leaves, None the kernel."""
        parameters = self.fresh(region.parameters)
        copied = Region([], parameters)
        for op in region.operations:
            self.operations += 1
            if self.operations > MAX_OPERATIONS:
                raise DeviceError(
                    f"more than {MAX_OPERATIONS} operations once functions are in place of calls; make loops of them"
                )
            copied.operations.append(self.op(op, labels, exit_label))
        return copied

    def op(self, op: Op, labels: dict[str, str], exit_label: str | None) -> Op:
        operands = tuple(self.values[value] for value in op.operands)
        if op.name == "call":
            function = self.module.functions[op.text]
            self.values.update(zip(function.parameters, operands, strict=True))
            label = self.new_label()
            body = self.region(function.body, {}, label)
            return Op("block", (), self.fresh(op.results), (body,), label=label, line=op.line)
        if op.name == "return" and exit_label:
            return Op("break", operands, label=exit_label, line=op.line)
        if op.name in ("block", "loop"):
            labels = labels | {op.label: self.new_label()}
        label = labels.get(op.label, "")
        regions = tuple(self.region(inner, labels, exit_label) for inner in op.regions)
        return replace(op, operands=operands, results=self.fresh(op.results), regions=regions, label=label)
