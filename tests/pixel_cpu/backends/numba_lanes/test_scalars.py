"""Scalars mean what `ir.numerics` means, and every operation of the table what its NumPy form says."""

from __future__ import annotations

import ast

import pytest
from edge_values import check_kind

from pixel_cpu.backends.numba_lanes import compile_kernel, scalars
from pixel_cpu.ir import numerics
from pixel_cpu.ir.operations import OPERATIONS
from pixel_cpu.ir.types import Type

QUICK = (Type.BOOL, Type.I8, Type.U16, Type.I64, Type.F32)
"""Of each width and sort of types one; Numba compiles some seconds for each."""


@pytest.mark.parametrize(
    "kind", [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.long) for kind in Type], ids=repr
)
def test_every_operation_on_values(kind):
    check_kind(compile_kernel, kind)


def test_every_function_that_a_form_names_is_there_for_one_lane():
    for row in OPERATIONS.values():
        for kind in row.over:
            form = row.form("numba", kind)
            if row.effect != "value" or not form:
                continue
            names = {node.id for node in ast.walk(ast.parse(form, mode="eval")) if isinstance(node, ast.Name)}
            assert names <= {"a", "b", "c", "r", "np", "f64", "u64"} | set(dir(scalars)), (row.name, kind)
            assert all(hasattr(scalars, name) for name in names & set(dir(numerics)) - {"np"}), (row.name, kind)
