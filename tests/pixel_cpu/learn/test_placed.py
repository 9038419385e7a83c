"""Kernels of lanes with memory of their own: what they are made of."""

from __future__ import annotations

import pytest
from x86_loops import CRC32, machine_loop

from pixel_cpu.backends.lane_c.shapes import Shapes
from pixel_cpu.frontends.x86 import lift
from pixel_cpu.ir.model import walk
from pixel_cpu.ir.types import Type
from pixel_cpu.ir.uniformity import Shape
from pixel_cpu.learn.placed import Region, Shared, kernel_of
from pixel_cpu.passes.inline import inline

ROTATE = machine_loop("89c2", "c1e207", "c1e819", "09d0", "ffc9", "75f2")
"""eax rotated by 7 to the left, spelled with shifts; dec ecx; jnz head."""


def kernel(code, regions, rows, narrow=(), tile=64):
    module = kernel_of(lift(code, live_at=lambda _: ["rax"]), regions, rows, narrow, tile)
    return inline(module, module.kernels["batch"])


def test_two_shifts_that_are_a_rotation_are_one():
    names = [op.name for op in walk(kernel(ROTATE, {}, ["rax"], ["rax"]).body)]
    assert names.count("rotl") == 1 and "shl" not in names and "shr" not in names


def test_lanes_with_common_addresses_read_at_consecutive_places():
    made = kernel(CRC32, {"rsi": Region(4), "rcx": Shared()}, ["rax"], ["rax"])
    shapes = Shapes(made)
    found = {op.memory.name: shapes.shape(op.operands[0]) for op in walk(made.body) if op.name == "load"}
    assert found["rsi_memory"] is Shape.LINEAR and found["rcx_memory"] is Shape.VARYING
    assert not any(shapes.is_split(op) for op in walk(made.body) if op.name == "loop")


@pytest.mark.parametrize(("kinds", "element"), [((4,), Type.U32), ((1, 4), Type.U8)])
def test_memory_for_all_lanes_is_made_of_what_is_read(kinds, element):
    moves = {1: "0fb616", 4: "8b16"}
    code = machine_loop(
        *(moves[kind] for kind in kinds), "ffc9", f"75{256 - sum(len(moves[k]) // 2 for k in kinds) - 4:02x}"
    )
    (memory,) = [each for each in kernel(code, {"rsi": Shared()}, ["rcx"]).memories if each.name == "rsi_memory"]
    assert memory.element is element and not memory.is_writable
