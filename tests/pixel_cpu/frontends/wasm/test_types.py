"""Types as a file spells them."""

import pytest

from pixel_cpu.errors import WasmError
from pixel_cpu.frontends.wasm.module import FunctionType, GlobalType, Limits, TableType
from pixel_cpu.frontends.wasm.opcodes import ValueType
from pixel_cpu.frontends.wasm.reader import Reader
from pixel_cpu.frontends.wasm.types import (
    MAX_ARITY,
    read_function_type,
    read_global_type,
    read_memory_type,
    read_reference_type,
    read_table_type,
    read_value_type,
)


def test_types_are_read():
    assert read_function_type(Reader(b"\x60\1\x7f\2\x7e\x7d")) == FunctionType(
        (ValueType.I32,), (ValueType.I64, ValueType.F32)
    )
    assert read_table_type(Reader(b"\x70\1\1\2")) == TableType(ValueType.FUNCREF, Limits(1, 2))
    assert read_memory_type(Reader(b"\0\3")) == Limits(3)
    assert read_global_type(Reader(b"\x7c\1")) == GlobalType(ValueType.F64, True)


@pytest.mark.parametrize(
    ("read", "data", "rule"),
    [
        (read_value_type, b"\x7b", "SIMD"),
        (read_value_type, b"\x01", "malformed value type"),
        (read_reference_type, b"\x7f", "malformed reference type"),
        (read_function_type, b"\x5f", "garbage collection"),
        (read_function_type, b"\x60" + b"\xe9\7" + b"\x7f" * (MAX_ARITY + 1) + b"\0", "1000 parameters"),
        (read_global_type, b"\x7f\2", "malformed mutability"),
        (read_memory_type, b"\x08\0", "malformed limits flags"),
    ],
)
def test_types_that_are_none_are_refused(read, data, rule):
    with pytest.raises(WasmError, match=rule):
        read(Reader(data))
