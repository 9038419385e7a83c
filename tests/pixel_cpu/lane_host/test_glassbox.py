"""Programs that know they are on lanes: the imports of the module glassbox."""

import numpy as np
import pytest
from wasm_texts import assemble

import pixel_cpu as px
from pixel_cpu.errors import UsageError
from pixel_cpu.frontends.wasm.in_place import IN_PLACE
from pixel_cpu.lane_host import Glassbox, Record
from pixel_cpu.lane_host.glassbox import PREFIX, SERVED
from pixel_cpu.runtime.rounds import LaneState, Rounds

IMPORTS = """
  (import "glassbox" "lane" (func $lane (result i32))) (import "glassbox" "lanes" (func $lanes (result i32)))
  (import "glassbox" "sin" (func $sin (param f32) (result f32))) (import "glassbox" "cos" (func $cos (param f32) (result f32)))
  (import "glassbox" "barrier" (func $barrier)) (import "glassbox" "time" (func $time (result i64)))
  (import "glassbox" "size" (func $size (param i32) (result i32)))
  (import "glassbox" "read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "glassbox" "write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "glassbox" "atomic" (func $atomic (param i32 i32 i64) (result i64)))
  (import "glassbox" "compare_exchange" (func $swap (param i32 i64 i64) (result i64)))
  (import "glassbox" "set_pixel" (func $pixel (param i32 i32 i32)))
  (import "glassbox" "record" (func $record (param i32 i32 i32 i64)))
  (memory (export "memory") 1) (data (i32.const 64) "text")"""


def run(body: str, host: Glassbox, lanes: int = 4, results: str = "(result i64)", device: str = "cpu"):
    text = f'(module {IMPORTS} (func (export "run") {results} {body}))'
    rounds = Rounds(px.wasm(assemble(text)).instances(lanes, device=device), "run", host=host)
    rounds.run()
    return rounds


@pytest.mark.parametrize("device", ["cpu", "reference"])
def test_lane_count_sin_and_cos_do_not_leave_the_launch(device):
    body = """(call $lane) (call $lanes) (call $sin (f32.convert_i32_s (call $lane))) (call $cos (f32.convert_i32_s (call $lane)))"""
    rounds = run(body, Glassbox(), results="(result i32 i32 f32 f32)", device=device)
    lane, lanes, sin, cos = rounds.results
    assert lane.tolist() == [0, 1, 2, 3] and lanes.tolist() == [4] * 4 and not rounds.calls.any()
    angle = np.arange(4, dtype="f4")
    assert np.allclose(sin, np.sin(angle), atol=1e-6) and np.allclose(cos, np.cos(angle), atol=1e-6)
    assert len(IN_PLACE) == 4


def test_a_lane_waits_until_all_that_live_have_come_or_ended():
    # Lane 0 ends before the barrier, lane 1 traps, lane 2 comes late, after calls of its own.
    body = """
      (if (i32.eqz (call $lane)) (then (return (i64.const -1))))
      (if (i32.eq (call $lane) (i32.const 1)) (then unreachable))
      (if (i32.eq (call $lane) (i32.const 2)) (then (drop (call $time)) (drop (call $time))
        (drop (call $atomic (i32.const 0) (i32.const 0) (i64.const 5)))))
      (call $barrier)
      (call $atomic (i32.const 0) (i32.const 0) (i64.const 0))"""
    host = Glassbox(shared=1)
    rounds = run(body, host, lanes=5)
    over, trapped = LaneState.RETURNED, LaneState.TRAPPED
    assert rounds.states.tolist() == [over, trapped, over, over, over]
    assert rounds.results[0][[0, 2, 3, 4]].tolist() == [-1, 5, 5, 5]


def test_atomics_are_done_in_order_of_lane():
    host = Glassbox(shared=np.array([10, -1], np.int64))
    body = "(call $atomic (i32.const 0) (i32.const 0) (i64.extend_i32_s (call $lane)))"
    assert run(body, host).results[0].tolist() == [10, 10, 11, 13] and host.shared.tolist() == [16, -1]
    body = "(call $swap (i32.const 1) (i64.const -1) (i64.extend_i32_s (call $lane)))"
    assert run(body, host).results[0].tolist() == [-1, 0, 0, 0] and host.shared.tolist() == [16, 0]
    for kind, expected in enumerate((19, 3, 16, 0, 19, 19, 3)):
        host = Glassbox(shared=np.array([16], np.int64))
        run(f"(call $atomic (i32.const {kind}) (i32.const 0) (i64.const 3))", host, lanes=1)
        assert host.shared.tolist() == [expected]
    body = "(call $atomic (i32.const 0) (i32.const 0) (i64.const 1))"
    host = Glassbox(shared=np.array([(1 << 63) - 1], np.int64))
    run(body, host, lanes=1)
    assert host.shared.tolist() == [-(1 << 63)]
    assert run("(call $atomic (i32.const 0) (i32.const 7) (i64.const 1))", host).results[0].tolist() == [0] * 4


def test_arrays_are_read_and_written_in_place():
    rows, all_ = np.arange(8, dtype="i4").reshape(4, 2), np.zeros(4, "i4")
    body = """
      (drop (call $read (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 100)))
      (i32.store (i32.const 0) (i32.mul (i32.load (i32.const 0)) (i32.const 10)))
      (drop (call $write (i32.const 1) (i32.shl (call $lane) (i32.const 2)) (i32.const 0) (i32.const 4)))
      (i64.extend_i32_s (call $size (i32.const 0)))"""
    host = Glassbox(arrays={0: rows, 1: all_})
    assert run(body, host).results[0].tolist() == [8] * 4
    assert all_.tolist() == [10, 30, 50, 70]


@pytest.mark.parametrize(
    "operands", [(9, 0, 0, 4), (0, 9, 0, 4), (0, -1, 0, 4), (0, 0, 65533, 4), (0, 0, -4, 4), (0, 0, 0, -1)]
)
def test_what_is_not_there_is_not_copied(operands):
    host = Glassbox(arrays={0: np.full(8, 7, "u1")})
    given = " ".join(f"(i32.const {each})" for each in operands)
    for name in ("read", "write"):
        rounds = run(f"(i64.extend_i32_s (call ${name} {given}))", host)
        assert rounds.results[0].tolist() == [-1] * 4
        assert not rounds.instances.memory[:, :64].any() and (host.arrays[0] == 7).all()


def test_pixels_outside_the_picture_are_nothing():
    picture = np.zeros((2, 3, 4), np.uint8)
    run("(call $pixel (call $lane) (i32.const 1) (i32.const 0x04030201)) (i64.const 0)", Glassbox(picture=picture))
    assert picture[1].tolist() == [[1, 2, 3, 4]] * 3 and not picture[0].any()
    run("(call $pixel (i32.const 0) (i32.const -1) (i32.const 1)) (i64.const 0)", Glassbox())


def test_records_are_in_order_and_the_oldest_go_first():
    body = """(call $record (i32.const 0) (i32.const 64) (i32.const 4) (i64.const 0))
      (call $record (i32.const 1) (i32.const 64) (i32.const 2) (i64.sub (i64.const 0) (i64.extend_i32_s (call $lane))))
      (call $record (i32.const 3) (i32.const 65535) (i32.const 9) (i64.reinterpret_f64 (f64.const 0.5))) (i64.const 0)"""
    host = Glassbox(records=4)
    run(body, host, lanes=2)
    assert list(host.records) == [
        Record(2, 0, "te", 0),
        Record(3, 1, "te", -1),
        Record(4, 0, "\0", 0.5),
        Record(5, 1, "\0", 0.5),
    ]
    assert host.dropped == 2


def test_what_glassbox_does_not_have_is_refused():
    text = '(module (import "glassbox" "spawn" (func $f)) (func (export "run") (call $f)))'
    with pytest.raises(UsageError, match=r"imports glassbox\.spawn; glassbox has barrier, time"):
        Rounds(px.wasm(assemble(text)).instances(1), "run", host=Glassbox()).run()
    for wrong in ({"arrays": {0: np.zeros((1, 1, 1))}}, {"shared": np.zeros(2)}, {"picture": np.zeros((1, 1, 4))}):
        with pytest.raises(UsageError):
            Glassbox(**wrong)


def test_what_is_served_is_what_hosts_are_asked_for():
    assert {PREFIX + name for name in Glassbox()._calls} == SERVED and not SERVED & {*IN_PLACE}
