"""Constant expressions and their values."""

from wasm_texts import assemble

from pixel_cpu.frontends.wasm import decode
from pixel_cpu.frontends.wasm.constants import evaluate


def test_values_are_bits_of_their_type():
    starts = {
        "i32 (i32.const -1)": 0xFFFFFFFF,
        "i64 (i64.const -2)": 0xFFFFFFFFFFFFFFFE,
        "f32 (f32.const nan:0x123)": 0x7F800123,
        "f64 (f64.const -0.0)": 1 << 63,
        "funcref (ref.null func)": -1,
        "funcref (ref.func 1)": 1,
        "i32 (i32.mul (i32.sub (i32.const 2) (i32.const 3)) (i32.add (i32.const 7) (global.get 0)))": (-17)
        & 0xFFFFFFFF,
    }
    text = "\n".join(f"(global {start})" for start in starts)
    module = decode(assemble(f'(module (import "a" "g" (global i32)) {text} (func) (func))'))
    assert [evaluate(each.start, [10]) for each in module.own_globals] == list(starts.values())
