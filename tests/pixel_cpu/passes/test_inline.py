"""Calls are replaced by bodies."""

import pytest
from programs import Options, compare, random_case

from pixel_cpu.backends.reference import Executor
from pixel_cpu.errors import DeviceError
from pixel_cpu.ir.model import Module, walk
from pixel_cpu.ir.text import read
from pixel_cpu.ir.verifier import verify
from pixel_cpu.passes.inline import MAX_OPERATIONS, inline


def test_a_program_without_calls_means_the_same():
    for seed in range(20):
        case = random_case(seed, Options())
        kernel = inline(case.module, case.module.kernels[case.kernel])
        assert not any(op.name == "call" for op in walk(kernel.body))
        alone = verify(Module({case.kernel: kernel}))
        compare(lambda module, name, alone=alone: Executor(alone, name), case.module, case.launch)


def test_functions_that_double_are_bounded():
    functions = ["function f0(%a: u32) -> u32 {\n return %a\n}"]
    for number in range(1, 40):
        called = f"call @f{number - 1}"
        functions.append(
            f"function f{number}(%a: u32) -> u32 {{\n %b = {called} %a : u32\n %c = {called} %b : u32\n return %c\n}}"
        )
    text = "\n".join(functions) + "\nkernel main() {\n %i = global_id : u32\n %x = call @f39 %i : u32\n return\n}"
    module = read(text)  # the verifier refuses it too
    with pytest.raises(DeviceError, match=f"more than {MAX_OPERATIONS} operations"):
        inline(module, module.kernels["main"])
