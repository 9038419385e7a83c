"""Programs with one planted fault each."""

from __future__ import annotations

import random

from pixel_cpu.ir.model import Module, Op, Region, walk
from pixel_cpu.ir.operations import OPERATIONS
from pixel_cpu.ir.text import read, write
from pixel_cpu.ir.types import Type
from pixel_cpu.ir.verifier import verify

_TWINS = (
    "add sub mul and or xor min max".split(),
    "shl shr rotl".split(),
    "eq ne lt le gt ge".split(),
    "neg not abs".split(),
)
_TRIES = 50


def mutant(module: Module, chance: random.Random) -> tuple[Module, str]:
    """A copy of a program with one operation changed, and what was changed; it need not mean something else."""
    for _ in range(_TRIES):
        copied = read(write(module))
        bodies = [each.body for each in (*copied.kernels.values(), *copied.functions.values())]
        regions = [
            region for body in bodies for region in (body, *(inner for op in walk(body) for inner in op.regions))
        ]
        said = _change(chance.choice(regions), chance)
        if said:
            try:
                return verify(copied), said
            except Exception:  # it does not fit its place: try another
                continue
    return copied, "nothing"


def _change(region: Region, chance: random.Random) -> str:
    """Change an operation of a region; says what, or nothing where it cannot."""
    place = chance.randrange(len(region.operations))
    op = region.operations[place]
    before = op.name
    if op.name == "const":
        before = f"{op.literal}"
        op.literal = _other(op, chance)
        return f"const {before} -> {op.literal}"
    if op.name == "store":
        if chance.random() < 0.5:
            del region.operations[place]
            return "store dropped"
        return ""
    twins = next((twins for twins in _TWINS if op.name in twins), None)
    if twins and chance.random() < 0.7:
        op.name = chance.choice([name for name in twins if name != op.name])
        return f"{before} -> {op.name}" if op.operands[0].type in OPERATIONS[op.name].over else ""
    if len({operand.type for operand in op.operands}) == 1 and len(op.operands) > 1:
        op.operands = (*op.operands[1:], op.operands[0])
        return f"operands of {op.name} turned"
    if op.name == "if":
        op.regions = op.regions[::-1]
        return "sides of if swapped"
    return ""


def _other(op: Op, chance: random.Random) -> int | float | bool:
    kind, value = op.result.type, op.literal
    if kind is Type.BOOL:
        return not value
    if kind.is_float:
        return float(value or 0) + 1
    found = int(value or 0) + chance.choice([-1, 1])
    return found if kind.least <= found <= kind.greatest else 0
