"""Types as a file spells them."""

from __future__ import annotations

from .module import PAGE_BYTES, FunctionType, GlobalType, Limits, TableType
from .opcodes import VALUE_TYPES, ValueType
from .reader import Reader

MAX_ARITY = 1000
"""Parameters of a function, and results."""
MAX_PAGES = (1 << 32) // PAGE_BYTES
_OF_COLLECTED = (0x4E, 0x4F, 0x50, 0x5E, 0x5F)


def read_value_type(part: Reader) -> ValueType:
    """A type of values; `WasmError` for a vector, and for what is none."""
    begin = part.offset
    byte = part.byte()
    if byte not in VALUE_TYPES:
        raise part.malformed(
            "SIMD is not supported: v128" if byte == 0x7B else f"malformed value type {byte:#x}", begin
        )
    return VALUE_TYPES[byte]


def read_reference_type(part: Reader) -> ValueType:
    """A type of references."""
    begin = part.offset
    found = read_value_type(part)
    if not found.is_reference:
        raise part.malformed(f"malformed reference type {found!r}", begin)
    return found


def read_function_type(part: Reader) -> FunctionType:
    """A function's type."""
    begin = part.offset
    form = part.byte()
    if form != 0x60:
        is_other = form in _OF_COLLECTED
        rule = "garbage collection is not supported: a type that is no function's" if is_other else "malformed type"
        raise part.malformed(rule, begin)
    return FunctionType(_types(part, "parameters"), _types(part, "results"))


def _types(part: Reader, what: str) -> tuple[ValueType, ...]:
    begin = part.offset
    found = part.vector(lambda: read_value_type(part))
    if len(found) > MAX_ARITY:
        raise part.malformed(f"more than {MAX_ARITY} {what}, which is not supported", begin)
    return tuple(found)


def _limits(part: Reader, most: int, rule: str) -> Limits:
    begin = part.offset
    flags = part.byte()
    if flags > 1:
        named = {2: "threads", 3: "threads", 4: "memory64", 5: "memory64"}.get(flags)
        raise part.malformed(f"{named} is not supported: limits" if named else "malformed limits flags", begin)
    found = Limits(part.u32(), part.u32() if flags else None)
    if max(found.minimum, found.maximum or 0) > most:
        raise part.malformed(rule, begin)
    if found.maximum is not None and found.minimum > found.maximum:
        raise part.malformed("size minimum must not be greater than maximum", begin)
    return found


def read_table_type(part: Reader) -> TableType:
    """A table's type."""
    element = read_reference_type(part)
    return TableType(element, _limits(part, (1 << 32) - 1, "table size"))


def read_memory_type(part: Reader) -> Limits:
    """A memory's type: its size in pages."""
    return _limits(part, MAX_PAGES, f"memory size must be at most {MAX_PAGES} pages (4GiB)")


def read_global_type(part: Reader) -> GlobalType:
    """A global variable's type."""
    kind = read_value_type(part)
    begin = part.offset
    flag = part.byte()
    if flag > 1:
        raise part.malformed("malformed mutability", begin)
    return GlobalType(kind, flag == 1)
