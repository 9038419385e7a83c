"""Programs are loaded from files, with errors that name the place."""

import numpy as np
import pytest

import pixel_cpu
from pixel_cpu.errors import LaunchError, SourceError, UsageError

TWO = "kernel a() {\n return\n}\nkernel b() {\n return\n}"


def test_a_kernel_is_chosen_by_name_or_is_the_only_one():
    program = pixel_cpu.loads(TWO, language="ir")
    assert program.kernel("b").name == "b"
    with pytest.raises(UsageError, match="the program has no kernel"):
        pixel_cpu.loads("").kernel()
    with pytest.raises(UsageError, match="2 kernels; name one: a, b"):
        program.kernel()
    with pytest.raises(UsageError, match="no kernel 'c'; the program has a, b"):
        program.kernel("c")


def test_a_file_that_is_no_program_says_where(tmp_path):
    path = tmp_path / "broken.ir"
    path.write_text("kernel a() {\n frobnicate\n}")
    with pytest.raises(SourceError, match=rf"{path}:2:2: 'frobnicate' is no operation") as caught:
        pixel_cpu.load(path)
    assert (caught.value.line, caught.value.column) == (2, 2) and caught.value.file == str(path)
    path.write_bytes(b"kernel \xff")
    with pytest.raises(UsageError, match="no UTF-8"):
        pixel_cpu.load(path)
    with pytest.raises(UsageError, match="No such file"):
        pixel_cpu.load(tmp_path / "none.ir")


def test_a_launch_is_by_lanes_or_by_blocks():
    text = "kernel number() {\n buffer @y: u32\n %i = global_id : u32\n store @y %i, %i trap\n return\n}"
    kernel = pixel_cpu.loads(text, language="ir").kernel()
    y = np.zeros(12, "u4")
    kernel.launch(blocks=3, threads=4, y=y, device="reference")
    assert y.tolist() == list(range(12))
    for words in ({}, {"lanes": 3, "blocks": 3}):
        with pytest.raises(LaunchError, match="lanes, or blocks"):
            kernel.launch(**words, y=y, device="reference")


OWN_NAMES = """
kernel k(%seconds: u32, %lanes: u32) group 1 {
  buffer @fuel: u32
  buffer @device: u32
  %sum = add %seconds, %lanes : u32
  %zero = const 0 : u32
  store @fuel %zero, %sum trap
  store @device %zero, %lanes trap
  return
}
"""


def test_a_parameter_may_have_a_name_that_a_launch_uses_itself():
    kernel = pixel_cpu.loads(OWN_NAMES, language="ir").kernel()
    fuel, device = np.zeros(1, np.uint32), np.zeros(1, np.uint32)
    given = {"seconds": 40, "lanes": 2, "fuel": fuel, "device": device}
    kernel.launch(1, device="reference", arguments=given)
    assert (fuel[0], device[0]) == (42, 2)
