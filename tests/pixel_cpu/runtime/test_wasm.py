"""Modules of WebAssembly called on lanes."""

import numpy as np
import pytest
from wasm_texts import assemble

import pixel_cpu as px
from pixel_cpu.errors import LaunchError, TrapError, UsageError, WasmError

COUNTER = """(module (memory (export "memory") 1) (global $n (mut i32) (i32.const 10))
  (func $step (export "step") (param $by i32) (result i32)
    (global.set $n (i32.add (global.get $n) (local.get $by)))
    (i32.store (i32.const 4) (global.get $n))
    (global.get $n))
  (func $half (param i32) (result i32) (i32.div_u (i32.const 100) (local.get 0)))
  (func (export "divide") (param i32) (result i32) (call $half (local.get 0)))
  (func (export "spin") (loop (br 0)))
  (func (export "two") (param i64 f32) (result f32 i64) (local.get 1) (local.get 0)))"""


@pytest.mark.parametrize("device", ["cpu", "reference"])
def test_each_lane_has_its_own_state_that_lives_on(device):
    instances = px.wasm(assemble(COUNTER)).instances(4, device=device)
    assert instances.call("step", np.array([1, 2, 3, 4])).tolist() == [11, 12, 13, 14]
    assert instances.call("step", 5).tolist() == [16, 17, 18, 19]
    assert instances.memory[:, 4].tolist() == [16, 17, 18, 19]
    assert px.wasm(assemble(COUNTER)).call("step", 1, lanes=2, device=device).tolist() == [11, 11]


def test_several_results_are_a_tuple_and_none_is_none():
    program = px.wasm(assemble(COUNTER))
    floats, integers = program.call("two", np.array([1, 2]), 0.5)
    assert floats.tolist() == [0.5, 0.5] and integers.tolist() == [1, 2] and floats.dtype == np.float32
    assert px.wasm(assemble('(module (func (export "f")))')).call("f") is None


def test_a_trap_names_the_lane_the_reason_the_function_and_the_byte():
    instances = px.wasm(assemble(COUNTER)).instances(4)
    with pytest.raises(TrapError, match=r"divide, lane 1: integer divide by zero in half, byte 0x"):
        instances.call("divide", np.array([5, 0, 20, 0]))
    found = instances.call("divide", np.array([5, 0, 20, 0]), raise_traps=False)
    assert instances.returned.tolist() == [True, False, True, False] and found[[0, 2]].tolist() == [20, 5]
    assert instances.outcome and instances.outcome.traps == 2


def test_a_loop_without_end_ends_by_fuel():
    with pytest.raises(TrapError, match="out of fuel in spin"):
        px.wasm(assemble(COUNTER)).call("spin", fuel=1000)


def test_the_start_function_runs_first():
    text = '(module (global $g (mut i32) (i32.const 1)) (func $s (global.set $g (i32.const 5))) (start $s) (func (export "g") (result i32) (global.get $g)))'
    assert px.wasm(assemble(text)).call("g", lanes=3).tolist() == [5, 5, 5]
    with pytest.raises(TrapError, match="unreachable in boom"):
        px.wasm(assemble("(module (func $boom unreachable) (start $boom))")).instances(2)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('(module (memory 1) (data (i32.const 65535) "ab"))', "out of bounds memory access"),
        ('(module (memory 0) (data (i32.const 1) ""))', "out of bounds memory access"),
        ("(module (table 1 funcref) (func) (elem (i32.const 1) 0))", "out of bounds table access"),
    ],
)
def test_segments_that_do_not_fit_are_traps(text, reason):
    with pytest.raises(TrapError, match=reason):
        px.wasm(assemble(text)).instances(1)


def test_arguments_that_do_not_fit_are_refused():
    program = px.wasm(assemble(COUNTER))
    for arguments, words in (
        ((), "takes 1 arguments, not 0"),
        ((1.5,), "int32"),
        ((1 << 32,), "does not hold"),
        ((np.zeros((2, 2), np.int32),), "one dimension"),
    ):
        with pytest.raises(LaunchError, match=words):
            program.call("step", *arguments)
    with pytest.raises(LaunchError, match="not one element for each of 3 lanes"):
        program.instances(3).call("step", np.arange(2))
    with pytest.raises(LaunchError, match="different lengths"):
        program.call("two", np.arange(2), np.zeros(3))
    with pytest.raises(UsageError, match="no exported function 'nope'; the module has step, divide, spin, two"):
        program.call("nope")
    with pytest.raises(LaunchError, match="one or more"):
        program.instances(0)


def test_unsigned_arguments_are_taken_by_their_bits():
    assert px.wasm(assemble(COUNTER)).call("step", 0xFFFFFFFF).tolist() == [9]


def test_references_do_not_cross_the_border():
    with pytest.raises(WasmError, match="references is not supported"):
        px.wasm(assemble('(module (func (export "f") (result funcref) (ref.null func)))')).call("f")


def test_a_file_is_read(tmp_path):
    path = tmp_path / "m.wasm"
    path.write_bytes(assemble(COUNTER))
    assert px.wasm(path).call("step", 1).tolist() == [11]
    path.write_bytes(b"\0asm\2\0\0\0")
    with pytest.raises(WasmError, match=r"m\.wasm: byte 0x4: unknown binary version"):
        px.wasm(path)
    with pytest.raises(UsageError, match="No such file"):
        px.wasm(tmp_path / "none.wasm")


def test_more_lanes_than_memory_reaches_are_refused():
    with pytest.raises(LaunchError, match="lanes are too many"):
        px.wasm(assemble("(module (memory 100))")).instances(1000)
