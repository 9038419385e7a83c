"""Functions of the host that modules import."""

import numpy as np
import pytest
from wasm_runs import Here
from wasm_texts import assemble

import pixel_cpu as px
from pixel_cpu.errors import LaunchError

TEXT = """(module (import "env" "twice" (func $twice (param i32) (result i32))) (import "env" "log" (func $log (param f64)))
  (import "env" "both" (func $both (result i64 f32)))
  (table 2 funcref) (elem (i32.const 0) $twice)
  (func (export "four") (param i32) (result i32) (call $twice (call $twice (local.get 0))))
  (func (export "log") (param f64) (call $log (local.get 0)))
  (func (export "both") (result i64 f32) (call $both))
  (func (export "indirect") (param i32) (result i32) (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0)))
  (func $recursive (export "recursive") (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (i32.const 1))))
    (call_indirect (param i32) (result i32) (call $recursive (i32.sub (local.get 0) (i32.const 1))) (i32.const 0))))"""


def call(name: str, *arguments, **imports):
    given = {f"env.{each}": function for each, function in imports.items()}
    return px.wasm(assemble(TEXT)).call(name, *arguments, device=Here(), imports=given)


def test_an_import_is_called_for_each_lane_with_its_operands():
    seen = []

    def twice(lane, value):
        seen.append(lane)
        return 2 * value

    assert call("four", np.arange(3), twice=twice).tolist() == [0, 4, 8] and sorted(seen) == [0, 0, 1, 1, 2, 2]
    assert call("indirect", np.arange(3), twice=twice).tolist() == [0, 2, 4]
    assert call("recursive", np.arange(4), twice=twice).tolist() == [1, 2, 4, 8]


def test_an_import_works_in_machine_code():
    with px.Device("cpu", isolated=False) as device:
        program = px.wasm(assemble(TEXT))
        found = program.call("four", np.arange(3), device=device, imports={"env.twice": lambda _, value: [2 * value]})
    assert found.tolist() == [0, 4, 8]


def test_results_are_none_a_number_or_a_sequence():
    logged = []
    assert call("log", 1.5, log=lambda lane, value: logged.append((lane, value))) is None and logged == [(0, 1.5)]
    integers, floats = call("both", both=lambda lane: (-1, 0.5))
    assert integers.tolist() == [-1] and floats.tolist() == [0.5]
    with pytest.raises(LaunchError, match=r"env\.both is \(\) -> \(i64 f32\), and its function gave 7"):
        call("both", both=lambda lane: 7)


def test_imports_that_are_missing_or_unknown_are_named():
    with pytest.raises(LaunchError, match=r"calls env\.twice of the host; give it with imports="):
        call("four", 1)
    with pytest.raises(LaunchError, match=r"does not import env\.other; it imports env\.twice, env\.log"):
        call("four", 1, other=print)
    with pytest.raises(LaunchError, match="isolated=False"):
        px.wasm(assemble(TEXT)).call("log", 1.0, imports={"env.log": print})


def test_an_import_that_is_exported_or_is_the_start_function_is_called():
    text = """(module (import "env" "twice" (func $twice (param i32) (result i32))) (import "env" "begin" (func $begin))
      (import "glassbox" "lane" (func $lane (result i32)))
      (export "twice" (func $twice)) (export "lane" (func $lane)) (start $begin))"""
    seen = []
    given = {"env.twice": lambda lane, value: 2 * value + lane, "env.begin": seen.append}
    instances = px.wasm(assemble(text)).instances(3, device=Here(), imports=given)
    assert sorted(seen) == [0, 1, 2]
    assert instances.call("twice", np.arange(3)).tolist() == [0, 3, 6]
    assert instances.call("lane").tolist() == [0, 1, 2]
