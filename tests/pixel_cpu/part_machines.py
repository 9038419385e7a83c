"""Programs whose kernel is a loop over the parts of a machine."""

from pixel_cpu.backends.lane_c.separate import LEAST_REGIONS
from pixel_cpu.ir.model import Module
from pixel_cpu.ir.text import read
from pixel_cpu.ir.verifier import verify


def program(regions: int = LEAST_REGIONS, extra: str = "") -> Module:
    """A machine whose region n adds n and goes on with the next; the one before the last divides its lanes, the last one leaves."""
    parts = []
    for number in range(regions - 1):
        parts.append(f"""{"}" if number else ""} case {number} {{
      %n{number} = const {number} : u32
      %s{number} = call @step %sum, %n{number} : u32
      %p{number} = const {number + 1} : i32
      continue ^again %p{number}, %s{number}""")
    return verify(
        read(f"""
function step(%a: u32, %b: u32) -> u32 {{
  buffer @out: u32
  %i = global_id : u32
  %old = load @out %i trap : u32
  %c = add %a, %b : u32
  %d = add %c, %old : u32
  return %d
}}
kernel run(%start: i32) group 32 {{
  buffer @out: u32
  %zero = const 0 : u32
  %total = loop ^again (%part: i32 = %start, %sum: u32 = %zero) : u32 {{
    switch %part {" ".join(parts)}
      }} default {{
        break ^again %sum
    }}
    trap "unreachable"
  }}
  %i = global_id : u32
  {extra}
  store @out %i, %total trap
  return
}}""")
    )
