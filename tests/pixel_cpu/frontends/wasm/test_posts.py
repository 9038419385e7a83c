"""Writes to standard streams that are answered in place: interpreted, compiled, and by wasmtime."""

import pytest
import wasmtime
from wasi_runs import ENGINE, run_theirs
from wasm_texts import assemble

import pixel_cpu as px
from pixel_cpu.backends.lane_c import separate
from pixel_cpu.runtime import wasm_translation
from pixel_cpu.runtime.rounds import Rounds
from pixel_cpu.wasi import Wasi

TEXT = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_renumber" (func $renumber (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (type $write_t (func (param i32 i32 i32 i32) (result i32))) (table 1 funcref) (elem (i32.const 0) $write)
  (memory (export "memory") 1 2) (data (i32.const 1000) "0123456789abcdefghijklmnopqrstuvwxyz\\n") (data (i32.const 2000) "?=\\n")
  (func $piece (param $at i32) (param $from i32) (param $bytes i32)
    (i32.store (local.get $at) (local.get $from)) (i32.store offset=4 (local.get $at) (local.get $bytes)))
  (func $say (param $error i32)
    (i32.store8 (i32.const 2000) (i32.add (i32.const 48) (i32.rem_u (local.get $error) (i32.const 75))))
    (i32.store8 (i32.const 2001) (i32.add (i32.const 48) (i32.rem_u (i32.load (i32.const 64)) (i32.const 75))))
    (call $piece (i32.const 80) (i32.const 2000) (i32.const 3))
    (drop (call $write (i32.const 2) (i32.const 80) (i32.const 1) (i32.const 96))))
  (func (export "_start") (local $n i32)
    (loop $again
      (call $piece (i32.const 0) (i32.add (i32.const 1000) (i32.rem_u (local.get $n) (i32.const 30))) (i32.rem_u (i32.mul (local.get $n) (i32.const 7)) (i32.const 37)))
      (call $piece (i32.const 8) (i32.const 1036) (i32.const 1))
      (call $say (call_indirect (type $write_t) (i32.add (i32.const 1) (i32.eqz (i32.rem_u (local.get $n) (i32.const 5))))
        (i32.const 0) PIECES (i32.const 64) (i32.const 0)))
      (if (i32.eq (local.get $n) (i32.const 40)) (then (drop (memory.grow (i32.const 1)))))
      (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 90))))
    (call $say (call $write (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 64)))
    (call $say (call $write (i32.const 7) (i32.const 0) (i32.const 1) (i32.const 64)))
    (call $piece (i32.const 0) (i32.const 0) (i32.const 3000))
    (call $say (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64)))
    (call $say (call $renumber (i32.const 2) (i32.const 1)))
    (call $piece (i32.const 0) (i32.const 1000) (i32.const 5))
    (call $say (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64)))
    (drop (call $close (i32.const 1)))
    (call $say (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64)))))"""
LANES = 3


@pytest.fixture
def device(monkeypatch, tmp_path):
    monkeypatch.setattr(wasm_translation, "SECONDS_PER_PART", 1e9)
    monkeypatch.setattr(separate, "LEAST_REGIONS", 2)
    with px.Device("cpu", isolated=False) as found:
        yield found


ONE, SOME = "(i32.const 1)", "(i32.and (local.get $n) (i32.const 3))"
"""Pieces of each write; wasmtime writes one of them only."""


class Asked(Wasi):
    """A host that is asked each time."""

    streams = 0


def run(data, device, host, *, is_compiled=False):
    rounds = Rounds(px.wasm(data).instances(LANES, device=device), "_start", host=host)
    if is_compiled:
        rounds.translation.make(rounds.found.sizes)
    rounds.run()
    return rounds


@pytest.mark.parametrize("is_compiled", [False, True])
def test_lanes_write_what_wasmtime_writes_in_few_launches(is_compiled, device, tmp_path):
    data = assemble(TEXT.replace("PIECES", ONE))
    theirs = run_theirs(wasmtime.Module(ENGINE, data), tmp_path, [])
    with Wasi(LANES) as host:
        rounds = run(data, device, host, is_compiled=is_compiled)
        assert host.stdout == [theirs.stdout] * LANES and host.stderr == [theirs.stderr] * LANES
    assert set(rounds.calls.tolist()) == {2 * 90 + 2 * 6 + 1} and rounds.launches < 30


@pytest.mark.parametrize("is_compiled", [False, True])
def test_answers_in_place_are_those_of_the_host(is_compiled, device):
    data = assemble(TEXT.replace("PIECES", SOME))
    with Wasi(LANES) as host, Asked(LANES) as asked:
        mine, other = run(data, device, host, is_compiled=is_compiled), run(data, device, asked)
        assert list(host.output.records()) == list(asked.output.records())
    assert mine.calls.tolist() == other.calls.tolist() and set(mine.fuel.tolist()) == {466}
    assert (mine.instances.memory == other.instances.memory).all() and 4 * mine.launches < other.launches
