"""What both kernels of a proof start from."""

from __future__ import annotations

import pytest
import z3
from lane_kernels import SAXPY, module

from pixel_cpu.ir.model import Memory, Space
from pixel_cpu.ir.types import Type
from pixel_cpu.verify.solvers import ask
from pixel_cpu.verify.world import OutOfTimeError, World, name_of, same, variable

X = Memory("x", Space.BUFFER, Type.U8)


@pytest.mark.parametrize("kind", list(Type))
def test_a_variable_takes_every_value_by_its_name(kind):
    found = variable("v", kind)
    assert name_of(found) == "v" and not z3.is_false(z3.simplify(same(found, found)))


def test_zeros_are_two_values_and_nans_one():
    zero, negative, nan = (z3.FPVal(value, z3.Float32()) for value in (0.0, -0.0, float("nan")))
    assert z3.is_false(z3.simplify(same(zero, negative))) and z3.is_true(z3.simplify(same(nan, nan)))


def test_cells_with_equal_indexes_are_equal():
    world = World()
    i, j = z3.BitVecs("i j", 64)
    one, other = (world.cell("", X, "", index) for index in (i, j))
    assert world.cell("", X, "", i).eq(one) and not world.cell("loop 1", X, "", i).eq(one)
    assert ask([one != other]).is_possible
    assert ask([one != other, i == j, *world.consistency()]).is_possible is False


def test_private_memory_starts_as_zero():
    private = Memory("own", Space.PRIVATE, Type.U32, 4)
    assert World().cell("", private, "", z3.BitVec("i", 64)).eq(z3.BitVecVal(0, 32))


def test_inputs_have_names():
    kernel = module(SAXPY).kernels["main"]
    inputs = World().named_inputs(kernel)
    assert {
        "global_id",
        "lane_count",
        "group_size",
        *kernel.scalars,
        *(f"len {name}" for name in kernel.buffer_names),
    } <= set(inputs)


def test_time_that_is_up_is_said():
    World().check_time()
    World(limit_s=60).check_time()
    with pytest.raises(OutOfTimeError):
        World(limit_s=-1).check_time()


def test_what_is_read_alike_is_one_value_and_what_is_not_is_any():
    world = World(is_abstract=True)
    i, j, v = z3.BitVec("i", 64), z3.BitVec("j", 64), z3.BitVec("v", 8)
    start = world.cell("", X, "", i)
    one = world.any_of((i, start), (j, v))
    assert one.eq(world.any_of((i, start), (j, v))) and one.sort() == start.sort()
    others = [world.any_of((i, start)), world.any_of((i, start), (j, v + 1)), world.any_of((j, start), (j, v))]
    assert len({each.get_id() for each in (one, *others)}) == 4
