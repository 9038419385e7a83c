"""What a launch may be."""

from __future__ import annotations

import numpy as np
import pytest

import pixel_cpu
from pixel_cpu.backends.launch import Counters, Launch, Outcome, Trap, check
from pixel_cpu.errors import LaunchError, TrapError
from pixel_cpu.ir.text import read

KERNEL = read("kernel k(%n: u8, %f: f32) group 4 {\n buffer @x: u32 read\n buffer @y: u32\n return\n}").kernels["k"]


def launch(**changes) -> Launch:
    words = np.zeros(8, np.uint32)
    fields = {"lanes": 8, "group": 4, "scalars": {"n": 1, "f": 2.0}, "buffers": {"x": words, "y": words.copy()}}
    return Launch(**(fields | changes))


def buffers(**arrays):
    return {"buffers": {"x": np.zeros(8, np.uint32), "y": np.zeros(8, np.uint32)} | arrays}


def read_only() -> np.ndarray:
    array = np.zeros(8, np.uint32)
    array.flags.writeable = False
    return array


SHARED = np.zeros(9, np.uint32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"group": 0}, "1 to 1024 lanes, not 0"),
        ({"group": 1025}, "1 to 1024 lanes"),
        ({"lanes": -1}, "lanes, not -1"),
        ({"lanes": (1 << 31) + 1}, "at most"),
        ({"fuel": -1}, "fuel is not negative"),
        ({"scalars": {"n": 1}}, "scalar f is missing; its scalars are: n, f"),
        ({"scalars": {"n": 1, "f": 2.0, "g": 3}}, "there is no scalar g"),
        ({"scalars": {"n": 256, "f": 2.0}}, "n is u8, which 256 is not"),
        ({"scalars": {"n": 1.5, "f": 2.0}}, "n is u8, which 1.5 is not"),
        ({"scalars": {"n": np.float32(1.5), "f": 2.0}}, "n is u8, which .*1.5.* is not"),
        ({"scalars": {"n": "1", "f": 2.0}}, "n is u8, which '1' is not"),
        ({"scalars": {"n": 1, "f": "x"}}, "f is f32, which 'x' is not"),
        ({"scalars": {"n": 1, "f": 10**400}}, "f is f32, which 1000"),
        ({"scalars": {"n": 1, "f": 1e39}}, "f is f32, which 1e.39 is not"),
        ({"scalars": {"n": 1, "f": -(2.0**128 - 2.0**103)}}, "f is f32, which -3.4"),
        ({"scalars": {"n": 1, "f": np.complex64(1 + 2j)}}, "f is f32, which .*1.2j.* is not"),
        (buffers(x=np.uint32(3)), "x is a buffer and needs a NumPy array, not uint32"),
        (buffers(x=np.ma.masked_array(np.zeros(8, np.uint32))), "x is a masked array"),
        ({"buffers": {"x": np.zeros(8, np.uint32)}}, "buffer y is missing"),
        (buffers(x=np.zeros(8, np.int32)), "x holds u32, the array int32"),
        (buffers(x=np.zeros((2, 4), np.uint32)), "contiguous array of one dimension"),
        (buffers(x=np.zeros(16, np.uint32)[::2]), "contiguous array"),
        (buffers(y=read_only()), "y is written, and the array is read only"),
        (buffers(x=SHARED[1:], y=SHARED[:8]), "x and y share memory, and y is written"),
    ],
)
def test_what_does_not_fit_is_said(changes, message):
    with pytest.raises(LaunchError, match=message):
        check(KERNEL, launch(**changes))


def test_numbers_at_the_ends_of_their_types_reach_every_device():
    text = "kernel k(%f: f32, %g: f64) {\n buffer @x: f32\n buffer @y: f64\n %i = global_id : u32\n store @x %i, %f trap\n store @y %i, %g trap\n return\n}"
    kernel = pixel_cpu.loads(text, language="ir").kernel()
    greatest = float(np.nextafter(np.float64(2.0**128 - 2.0**103), 0))  # rounds to the greatest f32
    for name in ("cpu", "reference"):
        for f, g in ((greatest, 1e308), (-greatest, -1e308), (np.inf, np.inf), (1e-50, 5e-324)):
            x, y = np.zeros(1, "f4"), np.zeros(1, "f8")
            kernel.launch(1, f=f, g=g, x=x, y=y, device=name, fuel=1 << 80)
            assert (x[0], y[0]) == (np.float32(f), g)


def test_what_fits_is_given_back():
    fits = launch(scalars={"n": np.int64(7), "f": 3})
    assert check(KERNEL, fits) is fits
    assert check(KERNEL, launch(**buffers(x=read_only())))
    assert check(KERNEL, launch(**buffers(x=SHARED[:4], y=SHARED[4:])))
    assert check(KERNEL, launch(**buffers(x=SHARED[2:2], y=SHARED)))
    words = np.zeros(8, np.uint32)
    with pytest.raises(LaunchError, match="share memory"):
        check(KERNEL, launch(**buffers(x=words, y=words)))
    assert launch(lanes=9).groups == 3


def test_an_outcome_raises_its_trap():
    Outcome("reference", None, 0, Counters()).raise_trap("k")
    with pytest.raises(TrapError, match="kernel k, lane 3, line 2: no"):
        Outcome("reference", Trap(3, "no", 2), 1, Counters()).raise_trap("k")
