"""Whole shaders: random programs give what the reference gives."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from edge_values import check_constants
from lane_kernels import PARTING
from programs import EXACT_FLOAT, NO_FLOATS, NO_WIDE, Options, check_seeds, compare
from scalar import Interpreter

from pixel_cpu.backends.launch import Executable, Launch
from pixel_cpu.backends.wgsl.executable import compile_kernel
from pixel_cpu.ir.model import Module
from pixel_cpu.ir.operations import OPERATIONS
from pixel_cpu.ir.text import read
from pixel_cpu.ir.types import Type
from pixel_cpu.ir.verifier import verify

FLOATS = tuple(name for name in EXACT_FLOAT if name != "fma")
"""WGSL's fma may round twice."""
SMALL = {"statements": 15, "host_calls": False, "float_operations": FLOATS}


def make(**options: object) -> object:
    def build(module: Module, name: str) -> Executable:
        return compile_kernel(module, name, **options)

    return build


@pytest.mark.parametrize(
    ("options", "seeds", "pairs", "machine"),
    [
        (replace(NO_WIDE, **SMALL), range(2), True, None),
        (replace(Options(), **SMALL), range(10, 12), False, None),
        (replace(NO_FLOATS, **SMALL), range(20, 22), False, True),
    ],
)
def test_random_programs_give_what_the_reference_gives(options, seeds, pairs, machine):
    check_seeds(make(pairs=pairs, machine=machine), seeds, options, shrink=False)


@pytest.mark.parametrize("make_kernel", [Interpreter, compile_kernel])
def test_lanes_leave_a_block_one_by_one_after_its_last_barrier(make_kernel):
    x = np.arange(50, dtype=np.uint32)
    compare(make_kernel, verify(read(PARTING)), Launch(50, 16, {}, {"x": x, "y": np.zeros(50, np.uint32)}))


@pytest.mark.parametrize(("kind", "machine"), [(Type.F32, None), (Type.F64, True)])
def test_a_driver_does_not_work_out_what_is_divided_by_zero(kind, machine):
    """Mesa leaves out a store of such a quotient; in groups of one lane it knows the local id too."""
    text = f"""
kernel main() group 1 {{
  buffer @y: {kind.value}
  buffer @b: bool
  %i = global_id : u32
  %l = local_id : u32
  %a = convert %i : {kind.value}
  %z = convert %l : {kind.value}
  %q = div %a, %z : {kind.value}
  store @y %i, %q trap
  %c = ge %q, %z : bool
  store @b %i, %c trap
  return
}}
"""
    buffers = {"y": np.full(4, 7, kind.dtype), "b": np.zeros(4, bool)}
    compare(make(machine=machine), verify(read(text)), Launch(4, 1, {}, buffers))


def test_arithmetic_of_constants_is_ieee_s():
    check_constants(compile_kernel, Type.F32, lambda row: 0, ("mul", "div"))


@pytest.mark.long
@pytest.mark.parametrize("kind", list(Type), ids=repr)
def test_every_row_over_constants(kind):
    names = [row.name for row in OPERATIONS.values() if row.form("wgsl", kind)]
    check_constants(compile_kernel, kind, lambda row: math.inf if row.wgsl_absolute else row.wgsl_ulp, names)
