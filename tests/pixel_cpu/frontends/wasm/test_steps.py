"""The list of steps."""

from dataclasses import replace

from pixel_cpu.frontends.wasm.numeric import NUMERIC
from pixel_cpu.frontends.wasm.opcodes import OPCODES
from pixel_cpu.frontends.wasm.steps import ACCESSES, NUMBER, STEPS, computations
from pixel_cpu.ir.model import Module
from pixel_cpu.ir.types import Type
from pixel_cpu.ir.verifier import verify


def test_every_instruction_on_numbers_and_every_access_is_a_step_once():
    assert len(STEPS) == len(NUMBER) and NUMERIC.keys() | ACCESSES.keys() <= NUMBER.keys()
    assert ACCESSES.keys() == {op.name for op in OPCODES.values() if op.access_bytes}
    assert ACCESSES["i64.load16_s"] == (Type.I16, Type.I64) and ACCESSES["f32.store"] == (Type.U32, None)
    assert "i32.lt_u.unless.const" in NUMBER and "i32.add.if" not in NUMBER


def test_computations_are_programs_of_the_ir():
    found = computations().functions
    assert found.keys() == NUMERIC.keys() | {"glassbox.sin", "glassbox.cos"}
    names = {name: name.replace(".", "_") for name in found}
    verify(Module(functions={names[name]: replace(each, name=names[name]) for name, each in found.items()}))
