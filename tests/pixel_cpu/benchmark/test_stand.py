"""A device opened for measuring."""

import numpy as np
import pytest

from pixel_cpu import kernels, loads
from pixel_cpu.benchmark import stand as module
from pixel_cpu.benchmark.cases import Step
from pixel_cpu.benchmark.stand import Stand, repeats_of, spread
from pixel_cpu.errors import TrapError


def saxpy(lanes, **buffers):
    return Step(loads(kernels.source("saxpy")).kernel(), lanes, 64, buffers, {"a": 2.0})


@pytest.mark.parametrize("name", ["cpu", "wgpu", "reference"])
def test_steps_run_one_after_another_on_arrays_that_stay(name):
    x, y = np.arange(100, dtype=np.float32), np.ones(100, np.float32)
    with Stand(name) as stand:
        placed = {"x": stand.place(x), "y": stand.place(y)}
        taken = stand.run([saxpy(128, x="x", y="y"), saxpy(128, x="y", y="x")], placed)
        assert taken > 0 and stand.clock in ("device", "host") and stand.backend
        assert (stand.fetch(placed["y"]) == 2 * x + 1).all()
        assert (stand.fetch(placed["x"]) == 2 * (2 * x + 1) + x).all()
        assert x[1] == 1 and y[1] == 1  # the caller's own stay as they are


def test_a_trap_is_an_error():
    with Stand("cpu") as stand, pytest.raises(TrapError):
        placed = {"x": stand.place(np.ones(5, np.float32)), "y": stand.place(np.ones(9, np.float32))}
        stand.run([saxpy(9, x="x", y="y")], placed)


def test_short_launches_are_repeated_until_they_can_be_timed():
    assert repeats_of(lambda: module.LEAST_SECONDS / 10) == 10
    assert repeats_of(lambda: 10 * module.LEAST_SECONDS) == 1
    assert repeats_of(lambda: 0.0) == module.MAX_REPEATS


def test_the_spread_is_that_of_the_quartiles():
    assert spread([1.0]) == 0 and spread([2.0, 2.0, 2.0]) == 0
    assert spread([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(2 / 3)
    assert spread([1.0, 2.0, 3.0, 4.0, 500.0]) == pytest.approx(2 / 3)
