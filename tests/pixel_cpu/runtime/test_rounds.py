"""Runs in rounds beside wasmtime, which calls the same host in place."""

import time

import numpy as np
import pytest
from wasm_rounds import Asked, compare
from wasm_texts import assemble

import pixel_cpu as px
from pixel_cpu.backends.lane_c import separate
from pixel_cpu.errors import LaunchError, UsageError
from pixel_cpu.runtime.rounds import LaneState, Reply, Request, Rounds

REFERENCE = px.Device("reference", isolated=False)


@pytest.mark.parametrize("seed", range(8))
def test_random_modules_give_what_wasmtime_gives_however_often_they_are_stopped(seed):
    compare(seed, REFERENCE, (1, 7, 1 << 16)[seed % 3])


@pytest.mark.parametrize("seed", [100, 101])
def test_machine_code_gives_what_wasmtime_gives(seed, monkeypatch):
    monkeypatch.setattr(separate, "LEAST_REGIONS", 2)
    with px.Device("cpu", level="-O0") as device:
        compare(seed, device, 5)


@pytest.mark.long
def test_many_random_modules_give_what_wasmtime_gives():
    trapped = sum(compare(seed, REFERENCE, (1, 3, 1 << 16)[seed % 3]) for seed in range(1000, 1150))
    assert trapped


TEXT = """(module (import "env" "ask" (func $ask (param i32 i64) (result i64))) (memory (export "memory") 1 4)
  (global $g (mut i64) (i64.const 5))
  (func $deep (param i32) (result i64)
    (if (i32.eqz (local.get 0)) (then (return (call $ask (i32.const 1) (global.get $g)))))
    (i64.add (i64.extend_i32_u (local.get 0)) (call $deep (i32.sub (local.get 0) (i32.const 1)))))
  (func $asks (export "asks") (param i32) (result i64) (call $ask (local.get 0) (i64.const 100)))
  (func $bad (unreachable))
  (func $caller (param i32) (drop (call $asks (local.get 0))) (call $bad))
  (func (export "mixed") (param i32) (result i64)
    (global.set $g (i64.add (global.get $g) (i64.extend_i32_u (local.get 0))))
    (block (block (block (block (block (br_table 0 1 2 3 4 (local.get 0)))
      ;; 0: grows its memory, and counts there
      (drop (memory.grow (i32.const 2))) (i64.store (i32.const 100000) (call $deep (i32.const 3)))
      (return (i64.load (i32.const 100000))))
      ;; 1: asks, then ends by a trap
      (call $caller (i32.const 9)))
      ;; 2: without end, through calls
      (loop (drop (call $asks (i32.const 0))) (br 0)))
      ;; 3: recursion without end
      (drop (call $deep (i32.const -1))))
    (call $deep (local.get 0))))"""


@pytest.fixture(scope="module", params=["reference", "cpu"])
def device(request):
    with px.Device(request.param) as found:
        yield found


def test_lanes_that_trap_loop_and_recurse_leave_the_others_alone(device):
    instances = px.wasm(assemble(TEXT), pages=4, stack=4096).instances(8, device=device)
    host = Asked()
    rounds = Rounds(instances, "mixed", [np.arange(8)], host=host, share=100)
    while (rounds.states[[0, 1, 3, 4, 5, 6, 7]] < LaneState.RETURNED).any():
        assert rounds.step()
    assert rounds.states.tolist() == [3, 4, rounds.states[2], 4, 3, 3, 3, 3] and rounds.states[2] < LaneState.RETURNED
    # ask gives 3 * (5 + lane) + 1 + what it counted, and the frames above add their numbers.
    assert rounds.results[0][[0, 4, 5, 6, 7]].tolist() == [
        16 + 1 + 6,
        28 + 1 + 10,
        31 + 1 + 15,
        34 + 1 + 21,
        37 + 1 + 28,
    ]
    assert instances.pages.tolist() == [3, *[1] * 7]
    trap = rounds.trap(1)
    assert trap.reason == "unreachable" and trap.backtrace[-1] == "mixed" and rounds.trap(0) is None
    exhausted = rounds.trap(3)
    assert exhausted.reason == "call stack exhausted" and len(exhausted.backtrace) > 50
    before = rounds.calls[2]
    rounds.step()
    assert rounds.calls[2] > before and rounds.fuel[2] > 0
    rounds.kill([2, 0])
    assert not rounds.step() and rounds.states[2] == LaneState.KILLED and rounds.states[0] == LaneState.RETURNED


def test_a_loop_without_end_ends_its_lane_alone(device):
    text = """(module (import "env" "ask" (func $ask (param i32 i64) (result i64)))
      (func (export "f") (param i32) (result i64)
        (if (i32.eq (local.get 0) (i32.const 1)) (then (loop (br 0)))) (call $ask (local.get 0) (i64.const 1))))"""
    memory = text.replace("(func (export", '(memory (export "memory") 1) (func (export')
    rounds = Rounds(px.wasm(assemble(memory)).instances(3, device=device, fuel=5000), "f", [np.arange(3)], host=Asked())
    rounds.run()
    assert (
        rounds.states.tolist() == [3, 4, 3]
        and rounds.trap(1).reason == "out of fuel"
        and rounds.trap(1).function == "f"
    )
    assert rounds.results[0][[0, 2]].tolist() == [4, 6]


@pytest.mark.parametrize("backend", ["reference", "cpu", "wgpu"])
def test_lanes_that_ask_together_are_served_together(backend):
    host = Asked()
    with px.Device(backend) as device:
        rounds = Rounds(px.wasm(assemble(TEXT)).instances(5, device=device), "asks", [np.arange(5)], host=host)
        rounds.run()
    (request,) = host.requests
    assert request.lanes.tolist() == [0, 1, 2, 3, 4] and request.operands[0].tolist() == [0, 1, 2, 3, 4]
    assert request.operands[0].dtype == np.int32 and request.operands[1].dtype == np.int64
    assert request.sizes.tolist() == [65536] * 5 and request.memory.shape[0] == 5
    assert rounds.results[0].tolist() == [301 + lane for lane in range(5)] and rounds.calls.tolist() == [1] * 5


class Sleeper:
    """Lane 0 is told to sleep, lane 1 that it is over."""

    def serve(self, request: Request) -> Reply:
        until = np.where(request.lanes == 0, time.monotonic() + 0.05, 0)
        return Reply((np.full(len(request.lanes), 7),), request.lanes == 1, until)


def test_lanes_sleep_and_end_as_the_host_says():
    rounds = Rounds(px.wasm(assemble(TEXT)).instances(3, device=REFERENCE), "asks", [1], host=Sleeper())
    assert rounds.step() and rounds.states.tolist() == [LaneState.SLEEPING, LaneState.EXITED, LaneState.RUNNABLE]
    until = rounds.until[0]
    rounds.run()
    assert time.monotonic() >= until and rounds.states.tolist() == [3, 5, 3]
    assert rounds.results[0][[0, 2]].tolist() == [7, 7]


def test_what_does_not_fit_is_named():
    instances = px.wasm(assemble(TEXT)).instances(2, device=REFERENCE)
    with pytest.raises(LaunchError, match="asks takes 1 arguments, not 0"):
        Rounds(instances, "asks", host=Asked())
    with pytest.raises(UsageError, match="no exported function 'other'"):
        Rounds(instances, "other", host=Asked())

    class Wrong:
        def serve(self, request: Request) -> Reply:
            return Reply(())

    with pytest.raises(LaunchError, match=r"env\.ask is .* and its host gave 0 results"):
        Rounds(instances, "asks", [1], host=Wrong()).run()
