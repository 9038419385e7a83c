"""Proving accesses in bounds: by intervals, then by a solver; what is proved is not checked at run time.

>>> module, reports = prove_bounds(module, "saxpy", group=32)
>>> for report in reports: print(report)
line 11: load x[0..2147483646]: checked, traps: the index may be 2147483646, and the length is that of what is bound; ...
line 12: load y[0..2147483646]: proved: the index is compared with the length of y before
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..ir.model import Bounds, Module, Op, Region, Space
from .ranges import Access, Proof, Ranges


@dataclass(frozen=True)
class BoundsReport:
    """What became of one access: ``proved``, ``trap`` or ``clamp``, and why."""

    line: int | None
    operation: str
    memory: str
    low: int
    high: int
    verdict: Bounds
    reason: str

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        done = {"proved": "proved", "trap": "checked, traps", "clamp": "checked, clamped"}[self.verdict.value]
        return f"{place}{self.operation} {self.memory}[{self.low}..{self.high}]: {done}: {self.reason}"


def prove_bounds(
    module: Module, kernel: str, *, group: int | None = None, solver: bool = False
) -> tuple[Module, tuple[BoundsReport, ...]]:
    """A module with this kernel only, whose accesses that cannot be outside are marked so, and a report on each.

    What is proved holds for launches of groups of `group` lanes, which becomes the kernel's own group; None: of any. With `solver`
    Z3 tries what intervals leave open, which takes seconds at most.
    """
    unit = module.kernels[kernel]
    ranges = Ranges(module, unit, group)
    proved: set[Op] = set()
    reports = []
    for access in ranges.accesses.values():
        found = _by_intervals(access)
        if not found.is_proved and solver:
            from .solver import prove  # Z3 takes a while to load

            answer = prove(ranges, access)
            found = answer if answer.is_proved else Proof(False, f"{found.reason}; {answer.reason}")
        op, index = access.op, access.index
        assert op.memory is not None
        verdict = Bounds.PROVED if found.is_proved else op.bounds if op.bounds is not Bounds.PROVED else Bounds.TRAP
        if found.is_proved:
            proved.add(op)
        reports.append(BoundsReport(op.line, op.name, op.memory.name, index.low, index.high, verdict, found.reason))
    done = _Marker(proved)
    functions = {name: replace(f, body=done.region(f.body)) for name, f in module.functions.items()}
    new = replace(unit, body=done.region(unit.body), group=group or unit.group)
    return Module({kernel: new}, functions, module.source), tuple(reports)


def _by_intervals(access: Access) -> Proof:
    """Whether intervals say that an access is in bounds, and why, or why not."""
    memory, index, width = access.op.memory, access.index, access.op.width
    assert memory is not None
    if index.low < 0:
        return Proof(False, f"the index may be {index.low}")
    size = memory.length if memory.space is not Space.BUFFER else None
    if size is not None:
        if index.high + width <= size:
            return Proof(True, f"the index is at most {index.high} of {size}")
        return Proof(False, f"the index may be {index.high} of {size}")
    if width == 1 and memory in index.below:
        return Proof(True, f"the index is compared with the length of {memory.name} before")
    return Proof(
        False,
        f"the index may be {index.high}, and the length is that of what is bound; compare it with the length before",
    )


class _Marker:
    """Copies a body with accesses marked; values are shared, as nothing changes their meaning."""

    def __init__(self, proved: set[Op]) -> None:
        self._proved = proved

    def region(self, region: Region) -> Region:
        return Region([self.op(op) for op in region.operations], region.parameters)

    def op(self, op: Op) -> Op:
        regions = tuple(self.region(inner) for inner in op.regions)
        if op in self._proved:
            return replace(op, bounds=Bounds.PROVED)
        if op.bounds is Bounds.PROVED:  # nobody's word is taken for it
            return replace(op, bounds=Bounds.TRAP)
        return replace(op, regions=regions) if regions else op
