"""The verbs ``glassbox trace …`` on a real guest; `trace check` runs on every trace that is made here."""

import json
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from support import booted, find_sound, glassbox, wait_until

from qemu_bridge.cli.trace import spell_out
from qemu_bridge.client import Client
from qemu_bridge.errors import GlassBoxError
from qemu_bridge.trace.analysis.check import check_trace
from qemu_bridge.trace.file.reader import TraceReader
from tcg_plugin.layout import Event

pytestmark = pytest.mark.guest

LOAD = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; sync; ls -l / >/dev/null"


@pytest.fixture(scope="module")
def machine(image):
    with booted("recorded", image, smp=2) as found:
        yield found


@pytest.fixture
def busy(machine):
    """The guest works all the time."""
    done = threading.Event()

    def work():
        with Client.connect(machine.name) as client:
            while not done.is_set():
                client.exec(LOAD, 60.0)

    thread = threading.Thread(target=work)
    thread.start()
    yield machine
    done.set()
    thread.join()


def record(machine, path, *words):
    """`glassbox trace NAME -o FILE …`, then `trace check` on it; the recorder's last word."""
    answer = glassbox("trace", machine.name, "-o", str(path), "--json", *words)
    assert answer.returncode == 0, answer.stderr
    find_sound(path)
    return json.loads(answer.stdout)["progress"]


def test_a_busy_guest_is_recorded_without_loss_and_every_instruction_counted(busy, tmp_path):
    path = tmp_path / "busy.gbt"
    done = record(busy, path, "--seconds", "1.5", "--verify")
    assert done["instructions"] > 1_000_000 and not done["lost_chunks"]
    assert find_sound(path)["verified_windows"] == 2
    info = json.loads(glassbox("trace", "info", str(path), "--json").stdout)
    assert info["instructions"] == done["instructions"] and info["about"]["machine"] == busy.name
    same = json.loads(glassbox("trace", "diff", str(path), str(path), "--json").stdout)
    assert same["is_same"] and not same["only_left"] and not same["only_right"]
    with TraceReader(path) as trace:
        rings = {int(ring) for frame in trace.frames() for ring in frame.dictionary.rings}
        kinds = {int(kind) for events in trace.events(0) for kind in events.types} | {
            int(kind) for events in trace.events(1) for kind in events.types
        }
        assert rings == {0, 3}
        assert {Event.PAGE_TABLE, Event.SYSCALL, Event.EXCEPTION, Event.WINDOW_START, Event.WINDOW_STOP} <= kinds


def test_limits_end_a_recording(busy, tmp_path):
    done = record(busy, tmp_path / "insns.gbt", "--insns", "3000000")
    assert 2_900_000 < done["instructions"] < 60_000_000
    record(busy, tmp_path / "until.gbt", "--until", "sym:schedule")
    with TraceReader(tmp_path / "until.gbt") as trace:
        wanted = int(busy.kernel.address_of("schedule"))
        assert any((blocks.addresses == wanted).any() for vcpu in (0, 1) for blocks in trace.blocks(vcpu))


def test_what_is_shown_is_named_and_follows_the_stream(busy, tmp_path):
    path = tmp_path / "show.gbt"
    record(busy, path, "--only", "kernel", "--insns", "200000")
    with TraceReader(path) as trace:
        # The other vCPU may have slept all the time.
        vcpu = max((0, 1), key=lambda number: sum(len(blocks) for blocks in trace.blocks(number)))
    words = ("trace", "show", str(path), "--vcpu", str(vcpu), "--at", "1000", "--count", "50")
    answer = glassbox(*words, "--symbols", busy.name, "--json")
    lines = [line for line in json.loads(answer.stdout) if line["kind"] == "instruction"]
    assert [line["instruction"] for line in lines] == list(range(1000, 1050))
    for line in lines:
        name = line["symbol"].partition("+")[0]
        found = {symbol.name for symbol in busy.context.symbols.lookup(line["address"])}
        assert line["ring"] == 0 and name and name in found | {s.name for s in busy.context.symbols.lookup(name)}
    text = glassbox("trace", "show", str(path), "--vcpu", str(vcpu), "--count", "5").stdout
    assert len(text.splitlines()) >= 5


def test_loads_and_stores_are_recorded_with_their_values(busy, tmp_path):
    path = tmp_path / "memory.gbt"
    done = record(busy, path, "--values", "--insns", "1000000")
    assert done["accesses"] > 100_000
    with TraceReader(path) as trace:
        for accesses in trace.memory(0):
            # What `lock and` and `lock or` have loaded is not known.
            assert accesses.has_values[accesses.stores].all() and accesses.has_values.mean() > 0.9
            assert set(np.unique(accesses.sizes).tolist()) <= {1, 2, 4, 8, 16}
            # A value as small as its access.
            small = accesses.sizes < 8
            limit = np.left_shift(np.uint64(1), np.uint64(8) * accesses.sizes[small].astype(np.uint64))
            assert (accesses.values[small, 0] < limit).all() and not accesses.values[small, 1].any()


def test_one_process_can_be_picked(busy, tmp_path):
    path = tmp_path / "init.gbt"
    answer = glassbox("trace", busy.name, "-o", str(path), "--pid", "1", "--seconds", "1")
    assert answer.returncode == 0, answer.stderr
    for words, says in (
        (["--pid", "2"], "kernel thread"),
        (["--pid", "99999"], "no process"),
        (["--until", "sym:nono"], "symbol"),
    ):
        answer = glassbox("trace", busy.name, "-o", str(tmp_path / "x.gbt"), *words)
        assert answer.returncode == 2 and says in answer.stderr and not (tmp_path / "x.gbt").exists()


def test_ctrl_c_and_trace_stop_finish_the_file(busy, tmp_path):
    for ending in ("signal", "verb"):
        path = tmp_path / f"{ending}.gbt"
        command = [sys.executable, "-m", "qemu_bridge.cli", "trace", busy.name, "-o", str(path)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            wait_until(lambda path=path: path.exists() and busy.client.trace_status().state in ("armed", "waiting"))
            time.sleep(0.3)
            if ending == "signal":
                process.send_signal(signal.SIGINT)
            else:
                glassbox("trace", "stop", busy.name)
            assert process.wait(timeout=120) == 0 and "instructions" in process.stderr.read()
        find_sound(path)


def has_frame(path):
    """Whether the file, which may still grow, holds a whole frame."""
    try:
        with TraceReader(path) as trace:
            return trace.info.frames > 0
    except GlassBoxError:
        return False


def test_a_recorder_that_is_killed_leaves_whole_frames_and_the_guest_runs_on(busy, tmp_path):
    path = tmp_path / "killed.gbt"
    command = [sys.executable, "-m", "qemu_bridge.cli", "trace", busy.name, "-o", str(path)]
    with subprocess.Popen(command) as process:
        wait_until(lambda: has_frame(path))
        process.kill()
    wait_until(lambda: busy.client.trace_status().state in ("failed", "disarmed"))
    assert busy.exec("echo alive") == b"alive\n"
    with TraceReader(path) as trace:
        report = check_trace(trace)
        assert not trace.info.is_complete and report.is_sound and report.frames
    record(busy, tmp_path / "again.gbt", "--insns", "100000")


def test_a_machine_is_recorded_without_saying_so():
    assert spell_out(["trace", "demo", "-o", "x"]) == ["trace", "record", "demo", "-o", "x"]
    for words in (["trace", "info", "x"], ["trace", "--help"], ["trace"], ["ps", "demo"]):
        assert spell_out(words) == words
