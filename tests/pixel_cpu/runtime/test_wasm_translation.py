"""Machine code that takes over from the interpreter: from where lanes stand, of what they come to, and out of the cache."""

import subprocess
import sys

import numpy as np
import pytest
from wasm_rounds import compare
from wasm_texts import assemble

import pixel_cpu as px
from pixel_cpu.backends.lane_c import separate
from pixel_cpu.runtime import wasm_cache, wasm_translation
from pixel_cpu.runtime.rounds import LaneState, Reply, Rounds
from pixel_cpu.runtime.wasm_translation import Translation

TEXT = """(module (import "env" "ask" (func $ask (param i32) (result i32))) (memory (export "memory") 1)
  (type $t (func (param i32) (result i32))) (table 1 funcref) (elem (i32.const 0) $hidden)
  (func $hidden (type $t) (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
    (i32.add (call $ask (local.get 0)) (i32.const 1000)))
  (func $down (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (call $ask (local.get 0)) (call $down (i32.sub (local.get 0) (i32.const 1))))) (else (i32.const 0))))
  (func (export "f") (param i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (call $down (i32.and (local.get 0) (i32.const 7)))))
      (if (i32.eqz (i32.and (local.get 0) (i32.const 3)))
        (then (local.set $sum (i32.add (local.get $sum) (call_indirect (type $t) (local.get 0) (i32.const 0))))))
      (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get $sum)))"""
LANES = 5


class Host:
    """Doubles numbers."""

    def serve(self, request):
        return Reply((request.operands[0] * 2,))


def expected(start):
    total = 0
    for n in range(start, 0, -1):
        total += sum(2 * k for k in range(1, (n & 7) + 1)) + (2 * n + 1000 if n & 3 == 0 else 0)
    return total


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """No program in the cache, and functions that are large enough to be functions of C."""
    monkeypatch.setattr(wasm_cache, "_file", lambda key: tmp_path / f"{key}.program")
    monkeypatch.setattr(separate, "LEAST_REGIONS", 2)
    monkeypatch.setattr(wasm_translation, "SECONDS_PER_PART", 1e9)


@pytest.fixture
def device():
    with px.Device("cpu", isolated=False) as found:
        yield found


def starts():
    return np.arange(LANES) * 3 + 20


def run_of(program, device):
    return Rounds(program.instances(LANES, device=device), "f", [starts()], host=Host(), share=7)


def test_code_takes_over_from_where_lanes_stand_and_goes_on_where_another_program_begins(device):
    program = px.wasm(assemble(TEXT))
    interpreted, mixed = run_of(program, device), run_of(program, device)
    interpreted.run()
    for _ in range(9):
        assert mixed.step()
    translation = program.translation(mixed.number)
    translation.make({mixed.number})
    # What is reached through the table is not among what was compiled, and is interpreted until it is.
    before = set(translation.code.ready)
    assert before < set(mixed.found.sizes)
    mixed.run()
    for each in (interpreted, mixed):
        assert (each.states == LaneState.RETURNED).all()
        assert each.results[0].tolist() == [expected(int(n)) for n in starts()]
    translation.close()
    assert mixed.calls.tolist() == interpreted.calls.tolist()
    memory = [each.instances.memory[:, :16].tolist() for each in (interpreted, mixed)]
    assert memory[0] == memory[1]

    # Another one finds the code that was kept, and runs as much fuel as the interpreter.
    other = px.wasm(assemble(TEXT))
    code = other.translation(mixed.number).code
    assert code and before <= code.ready
    other.translation(mixed.number).make(code.sizes)
    again = run_of(other, device)
    again.run()
    assert again.results[0].tolist() == mixed.results[0].tolist() and again.fuel.tolist() == interpreted.fuel.tolist()


# In the program of 2038 a function that is called from parts has parts itself.
@pytest.mark.parametrize(("seed", "share", "cuts"), [(3, 3, 1), (8, 3, 1), (2038, 2, 3)])
def test_code_takes_over_from_random_programs_at_random_moments(seed, share, cuts, device, monkeypatch):
    made, make = [], Translation.make
    monkeypatch.setattr(Translation, "make", lambda own, wanted: made.append(wanted) or make(own, wanted))
    compare(seed, device, share, cuts=cuts)
    assert made


@pytest.mark.long
def test_code_takes_over_from_many_random_programs_at_random_moments(device):
    assert sum(compare(seed, device, (1, 2, 7)[seed % 3], cuts=3) for seed in range(2000, 2060))


def test_a_program_that_ends_while_code_is_made_says_nothing(tmp_path):
    (tmp_path / "a.wasm").write_bytes(assemble(TEXT))
    script = f"""
import threading
import pixel_cpu as px
program = px.wasm({str(tmp_path / "a.wasm")!r})
translation = program.translation(program.function("f"))
make, ended = translation.make, threading.main_thread().join
def late(wanted):
    ended()
    from concurrent.futures import ThreadPoolExecutor
    ThreadPoolExecutor(1).submit(print)
translation.make = late
translation.begin({{1}})
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_program_that_is_closed_runs_no_compiler(device):
    program = px.wasm(assemble(TEXT))
    rounds = run_of(program, device)
    translation = program.translation(rounds.number)
    translation.begin({rounds.number})
    program.close()
    assert not translation.is_under_way
    translation.begin({rounds.number})
    assert not translation.is_under_way
    rounds.run()
    assert rounds.results[0].tolist() == [expected(int(n)) for n in starts()]
