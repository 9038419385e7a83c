"""The steps of WebAssembly functions that are interpreted: their names and, for those on numbers, what they compute.

A step is an instruction on registers, the cells of a frame. Steps that only move lanes about are `CONTROL`; the others follow in the
order of `NUMERIC`: on registers, with a constant as second operand (``.const``), and comparisons also as branches (``.if``, ``.unless``).
"""

from __future__ import annotations

from ...ir.builder import Builder
from ...ir.model import Function, Module, Region, Value, walk
from ...ir.types import Type
from .areas import OUT_OF_MEMORY, OUT_OF_TABLE, UNDEFINED, UNINITIALIZED
from .frames import EXHAUSTED
from .in_place import IN_PLACE, operate
from .instructions import MISMATCH, UNREACHABLE
from .numeric import BAD_CONVERSION, DIVIDE_BY_ZERO, NUMERIC, OVERFLOW, TYPES, Numeric
from .opcodes import BY_NAME, Opcode

CONTROL = (
    "part zero null const move jump if unless table leave leave_direct enter ask enter_direct enter_nested enter_indirect "
    "enter_indirect_direct enter_indirect_nested take take_direct spill unreachable select global_get32 global_get64 global_set32 global_set64 "
    "memory_size memory_grow memory_copy memory_fill memory_init table_get table_set table_size table_grow table_fill table_copy table_init "
    "drop_segment lane lanes"
).split()
OPERATIONS = {"global_id": "lane", "lane_count": "lanes"} | {
    operation: name for name, (operation, kind) in IN_PLACE.items() if kind.parameters
}
"""The step of each operation of the IR that is called: what computes numbers is named as it is imported."""
REASONS = {
    "OUT_OF_FUEL": "out of fuel",
    "UNREACHABLE": UNREACHABLE,
    "EXHAUSTED": EXHAUSTED,
    "OUT_OF_MEMORY": OUT_OF_MEMORY,
    "OUT_OF_TABLE": OUT_OF_TABLE,
    "UNDEFINED": UNDEFINED,
    "UNINITIALIZED": UNINITIALIZED,
    "MISMATCH": MISMATCH,
    "DIVIDE_BY_ZERO": DIVIDE_BY_ZERO,
    "OVERFLOW": OVERFLOW,
    "BAD_CONVERSION": BAD_CONVERSION,
}
"""Why a lane may end, by a name for it."""


def _access(op: Opcode) -> tuple[Type, Type | None]:
    bits = 8 * op.access_bytes
    wanted = TYPES[op.results[0]] if op.results else None
    return Type(f"{'i' if op.name.endswith('_s') else 'u'}{bits}"), wanted


ACCESSES = {op.name: _access(op) for op in BY_NAME.values() if op.immediate == "access"}
"""What a load or store moves, as an integer, and the type that a load gives."""


def is_comparison(op: Opcode) -> bool:
    """Whether an instruction compares two numbers."""
    return op.name[4:].split("_")[0] in ("eq", "ne", "lt", "gt", "le", "ge")


def _names() -> list[str]:
    found = [*CONTROL, *ACCESSES]
    for name in NUMERIC:
        op = BY_NAME[name]
        found.append(name)
        if len(op.operands or ()) == 2:
            found.append(f"{name}.const")
        if is_comparison(op):
            found += [f"{name}{way}{kind}" for way in (".if", ".unless") for kind in ("", ".const")]
    return [*found, *(each for each in OPERATIONS.values() if each in IN_PLACE)]


STEPS = tuple(_names())
"""Every step."""
NUMBER = {name: place for place, name in enumerate(STEPS)}


def computations() -> Module:
    """A function of the IR for each step on numbers, by its name; traps are those of the instruction."""
    found = Module()
    for name in NUMERIC:
        op = BY_NAME[name]
        body = Region()
        build = Builder(body)
        operands = tuple(Value(TYPES[each]) for each in op.operands or ())
        result = Numeric(build).lower(name, operands)
        build.end("return", result)
        found.functions[name] = Function(name, operands, (result.type,), (), body)
        assert all(each.text in REASONS.values() for each in walk(body) if each.name == "trap")
    for name in OPERATIONS.values():
        if name in IN_PLACE:
            operation, kind = IN_PLACE[name]
            body = Region()
            operands = tuple(Value(TYPES[each]) for each in kind.parameters)
            results = operate(Builder(body), operation, operands)
            Builder(body).end("return", *results)
            found.functions[name] = Function(name, operands, tuple(each.type for each in results), (), body)
    return found
