"""What a kernel holds: depth and accesses with calls, who may end, what has no form."""

import pytest

from pixel_cpu.backends.wgsl.survey import survey
from pixel_cpu.errors import DeviceError
from pixel_cpu.ir.text import read
from pixel_cpu.ir.verifier import verify

CALLS = """
function inner(%i: u32) -> u32 {
  buffer @x: u32 read
  %0 = load @x %i clamp : u32
  return %0
}
function outer(%i: u32) -> u32 {
  %zero = const 0 : u32
  %c = gt %i, %zero : bool
  %r = if %c : u32 {
    %0 = call @inner %i : u32
    yield %0
  } else {
    trap "zero"
  }
  return %r
}
kernel main() group 8 {
  buffer @x: u32 read
  buffer @out: u32
  private @wide: u32[100]
  %lane = global_id : u32
  %0 = call @outer %lane : u32
  %1 = call @inner %0 : u32
  store @wide %lane, %1 trap
  store @out %lane, %1 trap
  return
}
"""


def test_calls_count_as_what_they_call():
    module = verify(read(CALLS))
    found = survey(module, module.kernels["main"], False)
    assert [function.name for function in found.functions] == ["inner", "outer"]
    assert (found.depth, found.accesses) == (4, 4)
    assert found.may_end == {"inner": False, "outer": True}
    assert not found.has_barriers and not found.has_prints


def test_large_private_memory_lives_in_a_buffer():
    module = verify(read(CALLS))
    found = survey(module, module.kernels["main"], False)
    assert found.scratch_words == 100
    assert [memory.name for memory in found.written] == ["out"]


def test_what_wgsl_cannot_hold_is_refused():
    module = verify(read("kernel main() group 8 {\n  buffer @x: f64\n  return\n}\n"))
    survey(module, module.kernels["main"], False)
    with pytest.raises(DeviceError, match="@x holds f64"):
        survey(module, module.kernels["main"], True)
    module = verify(read('kernel main() group 8 {\n  host_call "log"\n  return\n}\n'))
    with pytest.raises(DeviceError, match="host_call 'log'"):
        survey(module, module.kernels["main"], False)
