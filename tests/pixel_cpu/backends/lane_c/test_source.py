"""The C text of a kernel."""

import pytest
from lane_kernels import SAXPY, module
from programs import random_case

from pixel_cpu.backends.lane_c import compile_kernel
from pixel_cpu.backends.lane_c.plan import plan
from pixel_cpu.backends.lane_c.source import is_alone, part, source
from pixel_cpu.backends.launch import Launch
from pixel_cpu.errors import IrError
from pixel_cpu.ir.builder import Builder
from pixel_cpu.ir.model import Kernel, Module, Op, Region, Value
from pixel_cpu.ir.types import Type
from pixel_cpu.ir.verifier import verify
from pixel_cpu.passes.inline import inline


def test_no_name_or_text_of_a_program_is_in_its_c():
    evil = '"); system("touch /tmp/x"); //\n#include "/etc/passwd"\n*/'
    with pytest.raises(IrError, match="identifiers"):
        verify(Module({"k": Kernel("k", (Value(Type.U32, evil),), (), Region([Op("return")]))}))
    parameter = Value(Type.U32, "p")
    body = Region()
    build = Builder(body)
    build.print(evil, parameter)
    build.end("trap", text=evil)
    kernel = compile_kernel(verify(Module({"k": Kernel("k", (parameter,), (), body)})), "k", level="-O1")
    assert "system" not in kernel.source and "passwd" not in kernel.source
    outcome = kernel.run(Launch(3, 32, {"p": 7}))
    assert outcome.trap.reason == evil and outcome.printed[2].text == f"{evil} 7"
    assert is_alone(kernel.kernel) and not is_alone(module(SAXPY).kernels["main"])


def test_a_program_makes_one_text():
    for seed in range(5):
        texts = []
        for _ in range(2):
            case = random_case(seed)
            kernel = inline(case.module, case.module.kernels[case.kernel])
            texts.append(source([part(kernel, plan(kernel, 8, 16))]))
        assert texts[0] == texts[1]
