"""Names, literals and operations without regions."""

import pytest

from pixel_cpu.backends.wgsl.executable import compile_kernel
from pixel_cpu.errors import DeviceError
from pixel_cpu.ir.text import read
from pixel_cpu.ir.verifier import verify

CALL = """
function workgroup_size(%n: u32) -> u32 {
  return %n
}
kernel main() group 8 {
  buffer @fn: u32
  %0 = global_id : u32
  %1 = call @workgroup_size %0 : u32
  store @fn %0, %1 clamp
  return
}
"""


def test_names_of_a_program_never_become_text():
    text = compile_kernel(verify(read(CALL)), "main").shader(8).text
    assert "fn workgroup_size" not in text
    assert "fn:" not in text


@pytest.mark.parametrize("bounds", ["trap", "clamp", "proved"])
def test_a_machine_and_structure_check_accesses_alike(bounds):
    source = CALL.replace("clamp", bounds)
    texts = [compile_kernel(verify(read(source)), "main", machine=machine).shader(8).text for machine in (False, True)]
    assert [text.count("gb_outside(") for text in texts] == [1 + (bounds != "proved")] * 2


def test_f64_in_pairs_mode_is_refused():
    source = "kernel main(%x: f64) group 8 {\n  return\n}\n"
    with pytest.raises(DeviceError, match="f64"):
        compile_kernel(verify(read(source)), "main", pairs=True)
