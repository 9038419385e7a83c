"""Loads, stores and atomics at every kind of index, inside and outside."""

from __future__ import annotations

import numpy as np
import pytest
from edge_values import SHAPES, check_atomics, check_empty, check_indexes, check_wide
from lane_kernels import module

from pixel_cpu.backends.lane_c import compile_kernel
from pixel_cpu.backends.launch import Launch
from pixel_cpu.ir.types import Type


def make(*, scalar: bool = False):
    return lambda found, name: compile_kernel(found, name, scalar=scalar, level="-O1")


@pytest.mark.parametrize("kind", [Type.BOOL, Type.I8, Type.U16, Type.F32, Type.U64], ids=repr)
@pytest.mark.parametrize("shape", SHAPES)
def test_each_index_and_bound(kind, shape):
    check_indexes(make(), kind, shape)


def test_an_empty_memory():
    check_empty(make())


@pytest.mark.parametrize("kind", ["i16", "u32", "f64"])
def test_bytes_are_read_and_written_as_wider_types_at_any_alignment(kind):
    check_wide(make(), kind)


@pytest.mark.parametrize("space", ["buffer", "workgroup"])
@pytest.mark.parametrize("kind", ["i32", "u64"])
@pytest.mark.parametrize("scalar", [False, True])
def test_atomics(space, kind, scalar):
    check_atomics(make(scalar=scalar), space, kind)


def test_arrays_at_odd_addresses():
    odd = np.zeros(4 * 33 + 1, np.uint8)[1:].view(np.uint32)
    assert not odd.flags.aligned
    text = """
kernel main() group 32 {
  buffer @y: u32
  %i = global_id : u32
  %zero = const 0 : u32
  %old = atomic_add @y %zero, %i trap : u32
  return
}
"""
    compile_kernel(module(text), "main", level="-O1").run(Launch(33, 32, {}, {"y": odd}))
    assert odd[0] == 33 * 16
