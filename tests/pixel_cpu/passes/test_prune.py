"""What no lane reaches is left out; what is reached does what it did."""

import numpy as np
from programs import Options, compare, random_case

from pixel_cpu.backends.lane_c import compile_kernel
from pixel_cpu.backends.launch import Launch
from pixel_cpu.backends.reference import Executor
from pixel_cpu.ir.model import Module, walk
from pixel_cpu.ir.text import read
from pixel_cpu.ir.verifier import verify
from pixel_cpu.passes.prune import prune

DEAD = """
kernel k() {
  buffer @y: u32
  %i = global_id : u32
  block ^out {
    %v = block ^in : u32 {
      store @y %i, %i trap
      break ^out
    }
    %t = mul %i, %i : u32
    %x = xor %t, %i : u32
    %l = le %v, %x : bool
    %w = select %l, %v, %x : u32
    store @y %w, %w trap
    yield
  }
  loop ^L () {
    %one = const 1 : u32
    %c = lt %i, %one : bool
    if %c {
      return
    } else {
      return
    }
    store @y %i, %one trap
    continue ^L
  }
  store @y %i, %i trap
  return
}
"""


def test_code_behind_what_never_ends_is_left_out():
    module = verify(read(DEAD))
    found = prune(module.kernels["k"])
    assert sum(op.name == "store" for op in walk(found.body)) == 1
    verify(Module({"k": found}))
    y = np.zeros(4, "u4")
    Executor(Module({"k": found}), "k").run(Launch(4, 4, {}, {"y": y}))
    assert y.tolist() == [0, 1, 2, 3]


def test_random_programs_do_what_they_did():
    for seed in range(40):
        case = random_case(seed, Options())
        kernel = case.module.kernels[case.kernel]
        pruned = verify(Module({case.kernel: prune(kernel)}, case.module.functions))
        compare(lambda module, name, pruned=pruned: Executor(pruned, name), case.module, case.launch)


def test_the_software_gpu_compiles_what_no_lane_reaches():
    module = verify(read(DEAD.replace("  loop", "  barrier\n  loop")))
    launch = Launch(4, 4, {}, {"y": np.zeros(4, "u4")})
    compare(compile_kernel, module, launch, "k")
