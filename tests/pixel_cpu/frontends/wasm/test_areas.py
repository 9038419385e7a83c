"""Memories, tables and globals at their ends: the values and traps of wasmtime."""

import numpy as np
import pytest
from wasm_runs import Here, compare_calls, compare_state, instances_of_wasmtime, program_of
from wasm_texts import assemble

TEXT = """(module (memory (export "memory") 1 3) (data (i32.const 0) "abcdefghijklmnop") (data $d "0123456789")
  (table $t 4 6 funcref) (elem (i32.const 1) $one $two $one) (elem $e func $two $one)
  (type $int (func (result i32)))
  (func $one (result i32) (i32.const 1)) (func $two (result i32) (i32.const 2)) (func $other (param i64))
  (func (export "load") (param i32) (result i64) (i64.load offset=3 (local.get 0)))
  (func (export "last") (param i32) (result i32) (i32.load8_u offset=65535 (local.get 0)))
  (func (export "far") (param i32) (result i32) (i32.load8_u offset=0xffffffff (local.get 0)))
  (func (export "store") (param i32) (i64.store (local.get 0) (i64.const -2)))
  (func (export "grow") (param i32) (result i32 i32) (memory.grow (local.get 0)) (memory.size))
  (func (export "fill") (param i32 i32) (memory.fill (local.get 0) (i32.const 0x1ff) (local.get 1)))
  (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
  (func (export "init") (param i32 i32 i32) (memory.init $d (local.get 0) (local.get 1) (local.get 2)))
  (func (export "drop") (data.drop $d) (elem.drop $e))
  (func (export "indirect") (param i32) (result i32) (call_indirect (type $int) (local.get 0)))
  (func (export "wrong") (param i32) (result f32) (call_indirect (result f32) (local.get 0)))
  (func (export "set") (param i32) (table.set (local.get 0) (ref.func $two)))
  (func (export "table_grow") (param i32) (result i32 i32) (table.grow (ref.func $one) (local.get 0)) (table.size))
  (func (export "table_copy") (param i32 i32 i32) (table.copy (local.get 0) (local.get 1) (local.get 2)))
  (func (export "table_fill") (param i32 i32) (table.fill (local.get 0) (ref.null func) (local.get 1)))
  (func (export "table_init") (param i32 i32 i32) (table.init $t $e (local.get 0) (local.get 1) (local.get 2))))"""

CALLS = {
    "load": [(0, 65525, 65526, -1, -8)],
    "last": [(0, 1, -1, -65536, 2)],
    "far": [(0, 1, 2, -1, 5)],
    "store": [(65528, 65529, 1, -4, 0)],
    "fill": [(0, 65536, 65535, 65536, 10), (0, 0, 1, 1, -1)],
    "copy": [(2, 0, 65530, 5, 0), (0, 2, 0, 65536, -1), (9, 9, 7, 0, 1)],
    "init": [(0, 65530, 20, 65536, 5), (0, 4, 8, 10, 11), (10, 6, 3, 0, 0)],
    "indirect": [(0, 1, 2, 3, 4)],
    "wrong": [(1, 0, 9, -1, 2)],
    "set": [(0, 1, 3, 4, -1)],
    "table_copy": [(0, 1, 3, 4, 0), (1, 0, 2, 4, 5), (3, 3, 2, 0, 0)],
    "table_init": [(0, 3, 1, 4, 0), (0, 0, 1, 2, 3), (2, 1, 1, 0, 0)],
    "table_fill": [(0, 3, 4, 5, 1), (1, 1, 0, 0, 9)],
    "grow": [(0, 1, 2, 3, -1)],
    "table_grow": [(0, 1, 2, 3, -1)],
    "drop": [],
}
"""Arguments, a lane each."""


def test_every_end_is_where_wasmtime_has_it():
    data = assemble(TEXT)
    ours, theirs = program_of(data).instances(5, device=Here()), instances_of_wasmtime(data, 5)
    # Twice, as what is dropped or has grown is another state.
    for _ in range(2):
        for name, columns in CALLS.items():
            arguments = [np.array(column, np.int32) for column in columns]
            compare_calls(ours, theirs, name, arguments)
            compare_calls(ours, theirs, "indirect", [np.array([1, 2, 3, 4, 5], np.int32)])
            compare_state(ours, theirs, {})


@pytest.mark.parametrize("distance", [1, 3, 8])
def test_copies_that_overlap_are_as_if_read_first(distance):
    data = assemble(TEXT)
    ours, theirs = program_of(data).instances(2, device=Here()), instances_of_wasmtime(data, 2)
    compare_calls(ours, theirs, "copy", [np.array(each, np.int32) for each in ((0, distance), (distance, 0), (12, 12))])
    compare_state(ours, theirs, {})
