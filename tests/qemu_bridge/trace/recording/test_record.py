"""Recording as a library call: each way it ends, progress, errors; the plugin's side is played by a test."""

from __future__ import annotations

import os
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from trace_kernel import FakeKernel
from trace_producer import ChunkFlag, Producer, window_start, window_stop
from trace_program import Program, pieces_of, record_words

from qemu_bridge.errors import HostError, MachineError, UsageError
from qemu_bridge.trace.analysis.check import check_trace
from qemu_bridge.trace.file.reader import TraceReader
from qemu_bridge.trace.recording import record
from qemu_bridge.trace.recording.record import record_trace
from qemu_bridge.wire.trace_records import RecordEnd, RecordOptions
from tcg_plugin.layout import State, Stop


@pytest.fixture(scope="module")
def program():
    return Program()


def endless(walk):
    """Blocks of `walk` whose last is followed by their first."""
    places = np.flatnonzero(walk == np.bincount(walk).argmax())
    return walk[places[0] : places[-1]]


class FakeMachine(FakeKernel):
    """A machine whose guest walks through `program` while it is armed."""

    name = "fake"

    def __init__(self, folder, program):
        self.producer = Producer(folder, chunk_bytes=4096, chunks=4)
        self.producer.end()
        self.connection = SimpleNamespace(trace_path=str(self.producer.path), image="alpine")
        self.program, self.walk = program, endless(program.walk(100_000))
        self.disarmed, self.done = threading.Event(), threading.Event()
        self.armed_with, self.fail, self.stop = None, None, Stop.ASKED
        self.chunks = 1 << 30
        self._thread = threading.Thread(target=self._run)

    def trace_arm(self, options):
        if self.fail:
            raise self.fail
        self.armed_with = options
        block = self.producer.control.block
        block.generation += 1
        block.state, block.acknowledged = State.ARMED, block.generation
        self._thread.start()

    def trace_disarm(self):
        self.disarmed.set()
        if self._thread.ident:
            self.done.wait(timeout=120)

    def trace_status(self):
        raise MachineError("no plugin: QEMU is too old; install 9.2")

    def _run(self):
        self.producer.publish(self.program.records)
        self._put(window_start(), ChunkFlag.FIRST)
        at = 0
        while not self.disarmed.is_set() and at < self.chunks:
            self._put(self.walk[np.arange(100 * at, 100 * at + 100) % len(self.walk)])
            at += 1
        self._put(window_stop(), ChunkFlag.LAST, self.stop)
        self.producer.end()
        self.done.set()

    def _put(self, words, flags=0, small=0):
        header = self.producer.control.vcpus[0]
        while header.head - header.tail >= self.producer.chunks:
            if self.disarmed.wait(0.0005):
                return
        words = np.array(words, np.uint32)
        words[0] |= small
        self.producer.put(words, flags=flags)

    def close(self):
        self.disarmed.set()
        if self._thread.ident:
            self._thread.join()
        self.producer.close()


@pytest.fixture
def machine(tmp_path, program):
    found = FakeMachine(tmp_path, program)
    yield found
    found.close()


def read(path):
    with TraceReader(path) as trace:
        report = check_trace(trace)
        assert report.is_sound and trace.info.is_complete, report.findings[:3]
        return trace.info


def test_time_ends_a_recording_and_progress_is_told(machine, tmp_path, monkeypatch):
    monkeypatch.setattr(record, "PROGRESS_S", 0.05)
    seen = []
    result = record_trace(machine, tmp_path / "t.gbt", RecordOptions(seconds=0.4), seen.append)
    assert result.end is RecordEnd.TIME and result.file == str(tmp_path / "t.gbt") and not result.error
    info = read(tmp_path / "t.gbt")
    assert info.instructions == result.progress.instructions > 0 and info.about["machine"] == "fake"
    counts = [progress.instructions for progress in seen]
    assert len(counts) > 1 and counts == sorted(counts) and counts[-1] <= result.progress.instructions


def test_instructions_and_a_place_end_a_recording(machine, tmp_path, program):
    result = record_trace(machine, tmp_path / "t.gbt", RecordOptions(instructions=5000))
    assert result.end is RecordEnd.INSTRUCTIONS and result.progress.instructions >= 5000
    assert machine.armed_with.limit_instructions == 5000


def test_a_place_ends_a_recording(machine, tmp_path, program):
    result = record_trace(
        machine, tmp_path / "t.gbt", RecordOptions(until=hex(program.address(int(machine.walk[500]))))
    )
    assert result.end is RecordEnd.UNTIL
    with TraceReader(tmp_path / "t.gbt") as trace:
        assert any((blocks.ids == machine.walk[500]).any() for blocks in trace.blocks())


def test_a_signal_from_another_thread_ends_a_recording(machine, tmp_path):
    stop = threading.Event()
    timer = threading.Timer(0.2, stop.set)
    timer.start()
    assert record_trace(machine, tmp_path / "t.gbt", RecordOptions(), stop=stop).end is RecordEnd.STOPPED
    assert machine.disarmed.is_set() and read(tmp_path / "t.gbt").blocks
    timer.join()


@pytest.mark.parametrize(
    ("stop", "error", "end"),
    [
        (Stop.ASKED, b"", RecordEnd.STOPPED),
        (Stop.LIMIT, b"", RecordEnd.INSTRUCTIONS),
        (Stop.LIMIT, b"QEMU has no memory", RecordEnd.FAILED),
        (Stop.EXIT, b"", RecordEnd.MACHINE_ENDED),
    ],
)
def test_a_window_that_closes_by_itself_says_why(stop, error, end, machine, tmp_path):
    machine.chunks, machine.stop = 10, stop
    machine.producer.control.block.error = error
    result = record_trace(machine, tmp_path / "t.gbt", RecordOptions())
    assert (result.end, result.error, result.progress.blocks) == (end, error.decode(), 1000)


def test_qemu_that_is_killed_ends_a_recording(machine, tmp_path):
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    machine.chunks = 10
    machine.producer.control.block.plugin_pid = child
    assert record_trace(machine, tmp_path / "t.gbt", RecordOptions()).end is RecordEnd.MACHINE_KILLED


def test_a_machine_that_refuses_leaves_no_file(machine, tmp_path):
    machine.fail = MachineError("the machine is being recorded already")
    with pytest.raises(MachineError, match="already"):
        record_trace(machine, tmp_path / "t.gbt", RecordOptions())
    assert not (tmp_path / "t.gbt").exists()


def test_wrong_places_are_refused_before_anything_is_written(machine, tmp_path):
    with pytest.raises(UsageError, match="symbol"):
        record_trace(machine, tmp_path / "t.gbt", RecordOptions(until="sym:none"))
    assert machine.armed_with is None and not (tmp_path / "t.gbt").exists()


def test_a_machine_without_a_plugin_says_why(machine, tmp_path):
    machine.connection.trace_path = ""
    with pytest.raises(MachineError, match="QEMU is too old"):
        record_trace(machine, tmp_path / "t.gbt", RecordOptions())


@pytest.mark.parametrize("steps", [0, 50], ids=["while it is armed", "later"])
def test_a_full_disk_closes_the_window_and_leaves_the_first_error(steps, machine, tmp_path, monkeypatch):
    step, left = record.Recorder.step, iter(range(steps))

    def fail_later(recorder):
        if next(left, None) is None:
            raise HostError("the disk is full; free space")
        return step(recorder)

    monkeypatch.setattr(record.Recorder, "step", fail_later)
    with pytest.raises(HostError, match="disk is full"):
        record_trace(machine, tmp_path / "t.gbt", RecordOptions())
    assert machine.disarmed.is_set()


def test_a_trace_is_replaced_only_when_asked_and_nothing_else_ever(machine, program, tmp_path):
    path, letter = record_words(tmp_path / "old", program, pieces_of(program.walk(50))), tmp_path / "letter"
    letter.write_text("Dear reader")
    kept = path.read_bytes()
    for output, options in ((path, RecordOptions()), (letter, RecordOptions()), (letter, RecordOptions(force=True))):
        with pytest.raises(UsageError, match="exists"):
            record_trace(machine, output, options)
    assert path.read_bytes() == kept and letter.read_text() == "Dear reader"
    machine.chunks = 10
    record_trace(machine, path, RecordOptions(force=True))
    with TraceReader(path) as trace:
        assert trace.info.blocks == 1000
