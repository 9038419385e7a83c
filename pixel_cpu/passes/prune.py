"""Leave out what no lane ever reaches: operations after one that is never completed, as a block that always leaves further out."""

from __future__ import annotations

from dataclasses import replace

from ..ir.model import Kernel, Op, Region, walk


def prune(kernel: Kernel) -> Kernel:
    """The kernel without unreachable operations; a region that loses its end ends with a trap that never happens."""
    return replace(kernel, body=_region(kernel.body))


def _region(region: Region) -> Region:
    operations: list[Op] = []
    for op in region.operations:
        if op.regions:
            op = replace(op, regions=tuple(map(_region, op.regions)))
        operations.append(op)
        if op.regions and not _completes(op):
            operations.append(Op("trap", text="unreachable", line=op.line))
            break
    return Region(operations, region.parameters)


def _completes(op: Op) -> bool:
    """Whether some lane may go on behind an operation with regions, whose own regions are pruned."""
    leaves = any(inner.name == "break" and inner.label == op.label for region in op.regions for inner in walk(region))
    if op.name in ("block", "loop") and leaves:
        return True
    return op.name != "loop" and any(region.operations[-1].name == "yield" for region in op.regions)
