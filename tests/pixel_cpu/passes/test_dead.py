"""Dead operations go, with what they alone read; what has an effect stays."""

from __future__ import annotations

from pixel_cpu.ir.model import walk
from pixel_cpu.ir.text import read
from pixel_cpu.ir.verifier import verify
from pixel_cpu.passes.dead import remove_dead

TEXT = """
kernel k(%a: u32) {
  buffer @x: u32
  %one = const 1 : u32
  %unused = add %a, %one : u32
  %chain = mul %unused, %unused : u32
  %loaded = load @x %a trap : u32
  %sum = loop ^again (%i: u32 = %a) : u32 {
    %dead = sub %i, %a : u32
    %less = lt %i, %one : bool
    if %less {
      yield
    } else {
      break ^again %i
    }
    continue ^again %one
  }
  store @x %a, %sum trap
  return
}
"""


def test_only_what_nothing_reads_goes():
    module = verify(read(TEXT))
    kernel = module.kernels["k"]
    kernel.body = remove_dead(kernel.body)
    names = [op.name for op in walk(kernel.body)]
    assert names == ["const", "load", "loop", "lt", "if", "yield", "break", "continue", "store", "return"]
    verify(module)
