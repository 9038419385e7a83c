"""Calls as steps."""

from wasm_steps import tables_of

from pixel_cpu.frontends.wasm.call_steps import TYPE_BITS
from pixel_cpu.frontends.wasm.steps import STEPS

TEXT = """(module (import "glassbox" "lane" (func $lane (result i32))) (import "glassbox" "sin" (func $sin (param f32) (result f32)))
  (type $t (func (param i32) (result i32))) (table 1 funcref) (table $other 2 funcref)
  (func $held (type $t) (local.get 0)) (elem (table $other) (i32.const 0) func $held)
  (func (export "f") (result i32) (drop (call $sin (f32.const 1)))
    (call_indirect $other (type $t) (call $lane) (i32.const 0))))"""


def test_a_call_through_a_table_names_it_and_operations_are_no_calls():
    found = tables_of(TEXT)
    names = [STEPS[row["step"]] for row in found.code]
    assert "glassbox.sin" in names and "lane" in names and "enter_direct" not in names
    (call,) = [row for row in found.code if STEPS[row["step"]] == "enter_indirect_direct"]
    assert int(call["more"]) >> TYPE_BITS == 1


def test_an_operation_that_a_table_holds_is_left_to_translation():
    assert tables_of(TEXT.replace("func $held)", "func $held $lane)")) is None
