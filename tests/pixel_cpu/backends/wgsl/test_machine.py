"""Programs that are too deep or too large for structure."""

import numpy as np
import pytest
from wgsl_runs import run_both

from pixel_cpu.backends.launch import Launch
from pixel_cpu.backends.wgsl.executable import compile_kernel
from pixel_cpu.errors import DeviceError
from pixel_cpu.ir.text import read
from pixel_cpu.ir.verifier import verify


def nested(depth: int) -> str:
    """A program with so many regions inside each other."""
    head = "kernel main() group 8 {\n  buffer @out: u32\n  %lane = global_id : u32\n  %v0 = const 0 : u32\n"
    head += "  %one = const 1 : u32\n"
    body = "  %done = add %lane, %one : u32\n  store @out %lane, %done trap\n  break ^b0\n"
    for level in reversed(range(1, depth)):
        name = f"%c{level}"
        body = (
            f"  %k{level} = const {level} : u32\n  {name} = gt %lane, %k{level} : bool\n  if {name} {{\n{body}"
            f"  }} else {{\n  store @out %lane, %k{level} trap\n  yield\n  }}\n  yield\n"
        )
    return f"{head}  block ^b0 {{\n{body}  }}\n  return\n}}\n"


@pytest.mark.parametrize("depth", [40, 90])
def test_deep_nesting(depth):
    source = nested(depth)
    run_both(source, Launch(180, 8, {}, {"out": np.zeros(180, np.uint32)}))
    strategy = compile_kernel(verify(read(source)), "main").shader(8).strategy
    assert strategy == ("machine" if depth > 60 else "structured")


def many_loads(count: int) -> str:
    """A program with so many accesses."""
    lines = ["kernel main() group 8 {", "buffer @x: u32", "buffer @out: u32", "%lane = global_id : u32"]
    total = "%lane"
    for number in range(count):
        lines += [f"%i{number} = const {number} : u32", f"%l{number} = load @x %i{number} trap : u32"]
        lines.append(f"%s{number} = add {total}, %l{number} : u32")
        total = f"%s{number}"
    return "\n".join([*lines, f"store @out %lane, {total} trap", "return", "}", ""])


def test_many_accesses_go_through_one_place():
    source = many_loads(150)
    launch = Launch(150, 8, {}, {"x": np.arange(140, dtype=np.uint32), "out": np.zeros(150, np.uint32)})
    run_both(source, launch)
    shader = compile_kernel(verify(read(source)), "main").shader(8)
    assert shader.strategy == "machine"
    assert shader.text.count("gb_m0_load_u32(") == 2  # its definition and the one place


def test_more_blocks_than_a_driver_compiles_are_refused():
    with pytest.raises(DeviceError, match="6000 that a driver compiles"):
        compile_kernel(verify(read(many_loads(6100))), "main").shader(8)
