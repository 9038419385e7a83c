"""Instructions that are no blocks."""

from wasm_runs import Here
from wasm_texts import assemble

from pixel_cpu.frontends.wasm import instructions
from pixel_cpu.frontends.wasm.numeric import NUMERIC
from pixel_cpu.frontends.wasm.opcodes import OPCODES
from pixel_cpu.runtime.wasm_calls import wasm


def test_every_instruction_is_lowered():
    own = {*NUMERIC, *instructions._SPECIAL, *instructions._BULK, "block", "loop", "if", "else", "end"}
    for op in OPCODES.values():
        assert op.name in own or op.immediate in ("access", "i32", "i64", "f32", "f64"), op.name


def test_the_bits_of_a_constant_nan_are_kept():
    text = """(module (func (export "f") (result i32 i64)
      (i32.reinterpret_f32 (f32.neg (f32.const nan:0x1234))) (i64.reinterpret_f64 (f64.const -nan:0x123456789))))"""
    first, second = wasm(assemble(text)).call("f", device=Here())
    assert (int(first[0]) & 0xFFFFFFFF, int(second[0]) & (1 << 64) - 1) == (0xFF801234, 0xFFF0000123456789)
