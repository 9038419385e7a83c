"""Frames of functions that call themselves."""

import numpy as np
from wasm_runs import Here
from wasm_texts import assemble

from pixel_cpu.frontends.wasm import decode
from pixel_cpu.frontends.wasm.frames import HEAD, Parts
from pixel_cpu.frontends.wasm.state import State
from pixel_cpu.runtime.wasm_calls import wasm


def test_a_frame_holds_locals_stack_and_results():
    text = """(module (func (param i32) (local i64 i64) (call 0 (i32.const 1)) (drop (i32.add (i32.const 1) (i32.const 2))))
      (func (result i32 i32 i32) (call 1)))"""
    module = decode(assemble(text))
    parts = Parts(module, State(module), (0, 1))
    assert parts.size(0) == HEAD + 3 + 2 and parts.size(1) == HEAD + 3
    assert sorted(parts.entries) == [0, 1] and len(parts.parts) == 4, (
        "a function begins one, and so does what follows a call"
    )


def test_values_of_every_type_come_back_from_a_frame_with_their_bits():
    text = """(module (func $f (export "f") (param i32 i64 f32 f64) (result i32 i64 i32 i64)
      (if (i32.eqz (local.get 0)) (then (return (call $f (i32.const -7) (local.get 1) (local.get 2) (local.get 3)))))
      (local.get 0) (local.get 1) (i32.reinterpret_f32 (local.get 2)) (i64.reinterpret_f64 (local.get 3))))"""
    f4, f8 = np.array([-0.0, np.inf], np.float32), np.array([-1.5, 5e-324])
    found = wasm(assemble(text)).call("f", np.array([0, 0]), np.array([-(2**63), 2**40]), f4, f8, device=Here())
    assert found[0].tolist() == [-7, -7] and found[1].tolist() == [-(2**63), 2**40]
    assert (found[2].view("f4").tobytes(), found[3].view("f8").tobytes()) == (f4.tobytes(), f8.tobytes())
