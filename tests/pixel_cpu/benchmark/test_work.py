"""Work of launches: counted by the reference, and the bytes that cannot be avoided."""

import numpy as np
import pytest

from pixel_cpu import kernels, loads
from pixel_cpu.backends.launch import Launch
from pixel_cpu.benchmark.work import Unit, count_arithmetic, largest_error, least_traffic

TEXT = """
kernel mixed(%a: f32) {
  buffer @x: f32 read
  buffer @y: f32
  buffer @z: u32
  %i = global_id : u32
  %1 = load @x %i trap : f32
  %2 = fma %a, %1, %a : f32
  %3 = lt %1, %2 : bool
  %4 = select %3, %1, %2 : f32
  %5 = sqrt %4 : f32
  store @y %i, %5 trap
  %6 = add %i, %i : u32
  %7 = xor %6, %i : u32
  %8 = atomic_add @z %i, %7 trap : u32
  return
}
"""


def saxpy():
    return loads(kernels.source("saxpy")).kernel()


def test_saxpy_is_two_flops_an_element():
    x, y = np.ones(100, np.float32), np.ones(100, np.float32)
    assert count_arithmetic([(saxpy(), Launch(128, 32, {"a": 2.0}, {"x": x, "y": y}))], Unit.FLOP) == 200


def test_an_fma_is_two_and_choices_are_none():
    kernel = loads(TEXT, language="ir").kernel()

    def launch():
        buffers = {"x": np.ones(10, np.float32), "y": np.ones(10, np.float32), "z": np.zeros(10, np.uint32)}
        return Launch(10, 4, {"a": 2.0}, buffers)

    assert count_arithmetic([(kernel, launch())], Unit.FLOP) == 30
    assert count_arithmetic([(kernel, launch()), (kernel, launch())], Unit.OP) == 40


def test_each_buffer_moves_once_for_reading_and_once_for_writing():
    assert least_traffic(saxpy(), {"x": 400, "y": 400}) == 1200
    assert least_traffic(loads(TEXT, language="ir").kernel(), {"x": 40, "y": 40, "z": 40}) == 40 + 40 + 80


def test_buffers_that_only_a_function_touches_count():
    crc = loads(kernels.source("crc32")).kernel()
    assert least_traffic(crc, {"bytes": 1000, "out": 8}) == 1008


@pytest.mark.parametrize(
    ("found", "expected", "error"),
    [
        (np.float32([1, 2]), np.float64([1, 2]), 0),
        (np.float32([1, 2.5]), np.float64([1, 2]), 0.25),
        (np.float32([0.5]), np.float64([0]), 0.5),
        (np.float32([np.nan, 1]), np.float64([1, 1]), np.inf),
        (np.uint8([1, 2]), np.uint8([1, 2]), 0),
        (np.uint8([1, 3]), np.uint8([1, 2]), np.inf),
    ],
)
def test_the_largest_relative_error(found, expected, error):
    assert largest_error(found, expected) == error
