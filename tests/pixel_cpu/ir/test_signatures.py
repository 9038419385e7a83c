"""Result types."""

from __future__ import annotations

import pytest

from pixel_cpu.errors import IrError
from pixel_cpu.ir.operations import OPERATIONS
from pixel_cpu.ir.signatures import result_type
from pixel_cpu.ir.types import Type

U32, F32, BOOL = Type.U32, Type.F32, Type.BOOL


@pytest.mark.parametrize("row", [row for row in OPERATIONS.values() if row.numpy], ids=lambda row: row.name)
def test_a_row_takes_exactly_the_types_that_it_is_over(row):
    words = row.signature.partition("->")[0].split()
    for kind in Type:
        operands = [BOOL if word == "bool" else kind for word in words]
        if kind in row.over:
            assert isinstance(result_type(row.name, operands, kind), Type)
        else:
            with pytest.raises(IrError, match="not defined for"):
                result_type(row.name, operands, kind)


@pytest.mark.parametrize(
    ("name", "operands", "stated", "message"),
    [
        ("add", [U32], None, "takes 2 operands, not 1"),
        ("add", [U32, F32], None, "operand 2 is f32 where u32 stands before it"),
        ("select", [U32, U32, U32], None, "operand 1 is u32, not bool"),
        ("convert", [U32], None, "the type of the result is missing"),
        ("bitcast", [U32], Type.U64, "differ in width"),
        ("bitcast", [Type.U8], BOOL, "not defined for bool"),
    ],
)
def test_what_does_not_fit_is_said(name, operands, stated, message):
    with pytest.raises(IrError, match=message):
        result_type(name, operands, stated)
