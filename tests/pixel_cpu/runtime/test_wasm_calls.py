"""Exported functions called with slices, and large ones in rounds."""

from pathlib import Path

import numpy as np
import pytest
from wasm_texts import assemble

import pixel_cpu as px
from pixel_cpu.errors import LaunchError, TrapError

MINING = Path(__file__).resolve().parents[3] / "examples/gpu-run/mining/mining.wasm"
TEXT = """(module (memory (export "memory") 1) (global $top (mut i32) (i32.const 1024)) (global $freed (mut i32) (i32.const 0))
  (func $malloc (export "ALLOCATE") (param $n i32) ALIGN (result i32)
    (if (i32.gt_u (local.get $n) (i32.const 60000)) (then (return (i32.const 0))))
    (global.get $top)
    (global.set $top (i32.add (global.get $top) (i32.and (i32.add (local.get $n) (i32.const 7)) (i32.const -8)))))
  (func (export "FREE") (param i32) (global.set $freed (i32.add (global.get $freed) (i32.const 1))))
  (func (export "freed") (result i32) (global.get $freed))
  (func (export "sum") (param $p i32) (param $n i32) (param $by i32) (result i32) (local $s i32)
    (loop $again
      (if (local.get $n) (then
        (local.set $s (i32.add (local.get $s) (i32.mul (i32.load (local.get $p)) (local.get $by))))
        (local.set $p (i32.add (local.get $p) (i32.const 4)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $again))))
    (local.get $s))
  (func (export "double_first") (param $p i32) (param $n i32)
    (if (i32.eqz (local.get $n)) (then unreachable))
    (i32.store (local.get $p) (i32.mul (i32.const 2) (i32.load (local.get $p)))))
  (func (export "two") (param $p i32) (param $n i32) (result i32 i32)
    (i32.add (local.get $p) (i32.const 4)) (i32.sub (local.get $n) (i32.const 1)))
  (func (export "packed") (param $p i32) (param $n i32) (result i64)
    (i64.or (i64.extend_i32_u (local.get $p)) (i64.shl (i64.extend_i32_u (local.get $n)) (i64.const 32))))
  (func (export "into") (param $to i32) (param $p i32) (param $n i32)
    (i32.store (local.get $to) (local.get $p)) (i32.store offset=4 (local.get $to) (local.get $n)))
  (func (export "wild") (param $p i32) (param $n i32) (result i32 i32) (i32.const 65533) (local.get $n)))"""


def module(allocate: str = "malloc", free: str = "free", align: str = "") -> bytes:
    return assemble(TEXT.replace("ALLOCATE", allocate).replace("FREE", free).replace("ALIGN", align))


ROWS = np.arange(12, dtype="i4").reshape(3, 4)


@pytest.mark.parametrize("device", ["cpu", "reference"])
def test_a_row_goes_to_each_lane(device):
    program = px.wasm(module())
    assert program.call("sum", px.Slice(ROWS), 10, device=device).tolist() == [60, 220, 380]
    assert program.call("sum", px.Slice([ROWS[0], ROWS[1][:1]]), np.array([1, 2]), device=device).tolist() == [6, 8]


def test_one_slice_goes_to_all_lanes():
    program = px.wasm(module())
    assert program.call("sum", px.Slice(ROWS[1]), np.array([1, 2, 0])).tolist() == [22, 44, 0]
    assert program.call("sum", px.Slice(ROWS[1]), 1, lanes=2).tolist() == [22, 22]


@pytest.mark.parametrize(
    "names", [("malloc", "free", ""), ("alloc", "dealloc", ""), ("__wbindgen_malloc", "__wbindgen_free", "(param i32)")]
)
def test_memory_comes_from_the_modules_allocator_and_goes_back(names):
    instances = px.wasm(module(*names)).instances(3)
    for expected in (1, 2):
        assert instances.call("sum", px.Slice(ROWS), 1).tolist() == [6, 22, 38]
        # What wasm-bindgen's allocator gave belongs to the function.
        assert instances.call("freed").tolist() == [0 if names[0].startswith("__") else expected] * 3


@pytest.mark.parametrize("name", ["packed", "into"])
def test_a_slice_comes_back(name):
    program = px.wasm(module())
    assert program.call(name, px.Slice(ROWS), returns="i4").tolist() == ROWS.tolist()
    ragged = program.call(name, px.Slice([ROWS[0], ROWS[1][:1]]), returns=np.int32)
    assert [each.tolist() for each in ragged] == [[0, 1, 2, 3], [4]]


def test_two_results_are_a_slice():
    assert px.wasm(module()).call("two", px.Slice(ROWS), returns="i4").tolist() == ROWS[:, 1:].tolist()


def test_an_output_is_what_the_function_left():
    found = px.wasm(module()).call("double_first", px.Slice(ROWS, is_output=True))
    assert found[:, 0].tolist() == [0, 8, 16] and (found[:, 1:] == ROWS[:, 1:]).all()


def test_a_trap_in_one_lane_leaves_the_others():
    rows = [np.array([4], "i4"), np.array([], "i4")]
    with pytest.raises(TrapError, match="double_first, lane 1: unreachable"):
        px.wasm(module()).call("double_first", px.Slice(rows))
    instances = px.wasm(module()).instances(2)
    found = instances.call("double_first", px.Slice(rows, is_output=True), raise_traps=False)
    assert [each.tolist() for each in found] == [[8], []] and instances.returned.tolist() == [True, False]


def test_what_does_not_fit_is_refused():
    program = px.wasm(module())
    with pytest.raises(LaunchError, match="has no 80000 bytes in lane 0"):
        program.call("sum", px.Slice(np.zeros(20000, "i4")), 1)
    with pytest.raises(LaunchError, match="lane 0 is outside its memory: 4 elements at 0xfffd"):
        program.call("wild", px.Slice(ROWS), returns="i4")
    with pytest.raises(LaunchError, match="gives no slice"):
        program.call("sum", px.Slice(ROWS), 1, returns="i4")
    with pytest.raises(LaunchError, match="rows for 3 lanes, not 2"):
        program.instances(2).call("sum", px.Slice(ROWS), 1)
    for lanes, wrong in ((1, np.zeros((1, 1, 1))), (2, [np.zeros(1), np.zeros(1, "i4")]), (1, np.array(["a"]))):
        with pytest.raises(LaunchError, match="a slice is an array of numbers"):
            program.instances(lanes).call("sum", px.Slice(wrong), 1)
    with pytest.raises(LaunchError, match="exports no function that gives memory"):
        px.wasm(module("other")).call("sum", px.Slice(ROWS), 1)


def test_a_module_of_rust_for_unknown_finds_outliers():
    samples = np.random.default_rng(5).normal(size=(40, 32)).astype("f4")
    # The second program comes from the cache, without its code.
    found, again = (px.wasm(MINING).call("discriminate", px.Slice(samples), 1.5) for _ in range(2))
    assert found.tolist() == again.tolist()
    distance = np.abs(samples - samples.mean(1, keepdims=True)) / samples.std(1, keepdims=True)
    assert not (np.abs(distance - 1.5) < 1e-4).any(), "no sample so near that rounding decides"
    assert found.tolist() == (distance > 1.5).sum(1).tolist()


@pytest.mark.long
def test_a_large_function_is_called_in_rounds():
    samples = np.random.default_rng(6).normal(size=(10, 60)).astype("f4")
    instances = px.wasm(MINING).instances(10)
    for _ in range(2):
        assert (instances.call("sort", px.Slice(samples, is_output=True)) == np.sort(samples, axis=1)).all()
    found = instances.call("peaks", px.Slice(samples), 1.0, returns="u4")
    assert [each.tolist() for each in found] == [np.flatnonzero(row > 1.0).tolist() for row in samples]
