"""Functions that call themselves: the results and traps of wasmtime, on the reference and in machine code."""

import numpy as np
import pytest
from wasm_runs import Here, compare_calls, compare_state, instances_of_wasmtime, program_of
from wasm_texts import assemble

from pixel_cpu.runtime.wasm_calls import wasm

TEXT = """(module (memory (export "memory") 1) (global $calls (export "calls") (mut i32) (i32.const 0))
  (table 4 funcref) (elem (i32.const 0) $down $twice $plain) (type $one (func (param i32) (result i32)))
  (func $fib (export "fib") (param i32) (result i64)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (if (result i64) (i32.lt_u (local.get 0) (i32.const 2))
      (then (i64.extend_i32_u (local.get 0)))
      (else (i64.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
  (func $even (export "even") (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (i32.const 1))))
    (call $odd (i32.sub (local.get 0) (i32.const 1))))
  (func $odd (param i32) (result i32)
    (block $zero (br_if $zero (i32.eqz (local.get 0))) (return (call $even (i32.sub (local.get 0) (i32.const 1)))))
    (i32.const 0))
  (func $ackermann (export "ackermann") (param $m i32) (param $n i32) (result i32)
    (loop $again
      (if (i32.eqz (local.get $m)) (then (return (i32.add (local.get $n) (i32.const 1)))))
      (if (local.get $n)
        (then (local.set $n (call $ackermann (local.get $m) (i32.sub (local.get $n) (i32.const 1)))))
        (else (local.set $n (i32.const 1))))
      (local.set $m (i32.sub (local.get $m) (i32.const 1)))
      (br $again))
    unreachable)
  (func $tree (export "tree") (param $depth i32) (param $x f64) (result f64 f32) (local $sum f32) (local $i i32)
    (if (i32.eqz (local.get $depth)) (then (return (local.get $x) (f32.demote_f64 (local.get $x)))))
    (block $out (loop $children
      (call $tree (i32.sub (local.get $depth) (i32.const 1)) (f64.div (local.get $x) (f64.const 3)))
      (local.set $sum (f32.add (local.get $sum)))
      (local.set $x (f64.add (local.get $x)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_table $children $children $children $out (local.get $i))))
    (local.get $x) (local.get $sum))
  (func $down (export "down") (param i32) (result i32)
    (i32.store8 (local.get 0) (local.get 0))
    (if (result i32) (local.get 0)
      (then (i32.add (i32.const 3) (call_indirect (type $one) (i32.sub (local.get 0) (i32.const 1)) (i32.and (local.get 0) (i32.const 3)))))
      (else (i32.const 0))))
  (func $twice (param i32) (result i32) (i32.mul (call $down (local.get 0)) (i32.const 2)))
  (func $plain (param i32) (result i32) (i32.const 100))
  (func (export "forever") (param i32) (result i32) (call $forever (local.get 0)))
  (func $forever (param i32) (result i32) (i32.add (call $forever (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
  (func (export "fails") (param i32) (result i32) (call $fails (local.get 0)))
  (func $fails (param i32) (result i32)
    (i32.div_u (i32.const 7) (local.get 0)) drop (call $fails (i32.sub (local.get 0) (i32.const 1)))))"""
CALLS = {
    "fib": [[0, 1, 2, 3, 6]],
    "even": [[0, 1, 2, 5, 8]],
    "ackermann": [[0, 1, 2, 2, 1], [3, 2, 1, 0, 0]],
    "tree": [[0, 1, 2, 0, 1], [1.0, 2.0, 3.0, -4.5, 100.0]],
    "down": [[0, 4, 8, 3, 2]],
    "fails": [[0, 1, 2, 5, 3]],
}


@pytest.mark.parametrize("back_end", ["reference", "cpu"])
def test_recursion_is_wasmtime_s(back_end):
    data = assemble(TEXT)
    program, device = program_of(data), Here()
    if back_end == "cpu":
        device.compile([program.kernel(program.function(name)) for name in CALLS])
    ours, theirs = program.instances(5, device=device), instances_of_wasmtime(data, 5)
    for name, columns in CALLS.items():
        kinds = [np.float64 if isinstance(column[0], float) else np.int32 for column in columns]
        compare_calls(ours, theirs, name, [np.array(column, kind) for column, kind in zip(columns, kinds, strict=True)])
        compare_state(ours, theirs, {"calls": 0})


def test_recursion_without_end_ends_its_lane_by_a_trap():
    instances = wasm(assemble(TEXT), stack=256).instances(3, device=Here())
    instances.call("forever", 1, raise_traps=False)
    assert instances.outcome and instances.outcome.traps == 3
    assert instances.outcome.trap and instances.outcome.trap.reason == "call stack exhausted"
    # The same instances go on.
    assert instances.call("even", 4).tolist() == [1, 1, 1]


def test_a_frame_that_no_stack_holds_is_a_trap():
    instances = wasm(assemble(TEXT), stack=8).instances(1, device=Here())
    instances.call("fib", 1, raise_traps=False)
    assert instances.outcome and instances.outcome.trap and instances.outcome.trap.reason == "call stack exhausted"


def test_deep_recursion_has_the_stack_that_it_is_given():
    assert wasm(assemble(TEXT), stack=1 << 17).instances(2, device="cpu").call("even", 2000).tolist() == [1, 1]
