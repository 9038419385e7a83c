"""Timelines of real launches, read back by Perfetto's own protobuf classes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from perfetto.protos.perfetto.trace import perfetto_trace_pb2

import pixel_cpu
from pixel_cpu.backends.launch import Counters, Outcome, PrintedLine, Sample, Span, Timeline, Trap
from pixel_cpu.errors import HostError
from pixel_cpu.kernels import source
from pixel_cpu.runtime.timeline import Clock, write_timeline

KINDS = perfetto_trace_pb2.TrackEvent


class Read:
    """A file of Perfetto: tracks by number, and per track what happened on it."""

    def __init__(self, path):
        trace = perfetto_trace_pb2.Trace()
        trace.ParseFromString(path.read_bytes())
        described = [packet.track_descriptor for packet in trace.packet if packet.HasField("track_descriptor")]
        self.names = {track.uuid: track.name for track in described}
        self.parents = {self.names[track.uuid]: self.names.get(track.parent_uuid) for track in described}
        self.counters = {track.name for track in described if track.HasField("counter")}
        self.events = [packet for packet in trace.packet if packet.HasField("track_event")]
        assert {packet.track_event.track_uuid for packet in self.events} <= set(self.names)
        assert trace.packet[0].sequence_flags == 1

    def of(self, name):
        return [packet for packet in self.events if self.names[packet.track_event.track_uuid] == name]

    def slices(self, name):
        """(name, begin, end, depth) of a track; fails where they do not nest, or time goes back."""
        found, around, last = [], [], 0
        for packet in self.of(name):
            own = packet.track_event
            if own.type not in (KINDS.TYPE_SLICE_BEGIN, KINDS.TYPE_SLICE_END):
                continue
            assert packet.timestamp >= last
            last = packet.timestamp
            if own.type == KINDS.TYPE_SLICE_BEGIN:
                around.append((own.name, packet.timestamp))
            else:
                label, begin = around.pop()
                found.append((label, begin, packet.timestamp, len(around)))
        assert not around
        return found

    def values(self, name):
        return [(packet.timestamp, packet.track_event.double_counter_value) for packet in self.of(name)]

    def instants(self, name):
        kept = [packet for packet in self.of(name) if packet.track_event.type == KINDS.TYPE_INSTANT]
        return [(packet.timestamp, packet.track_event.name) for packet in kept]


def test_a_launch_in_another_process_is_a_timeline_of_threads_and_counters(tmp_path):
    clock = Clock()
    with pixel_cpu.Device("cpu", timeline=True) as device:
        kernel = pixel_cpu.loads(source("mandelbrot")).kernel("mandelbrot")
        width, height = 256, 256
        with clock.span("make arrays"):
            counts = device.zeros(width * height, "i4")
        words = {"counts": counts, "width": width, "left": -2.0, "top": -1.25, "step": 0.01, "most": 300}
        with clock.span("launch"):
            outcome = kernel.launch(width * height, device=device, **words)
    write_timeline(tmp_path / "out.pftrace", [outcome], clock.spans)
    read = Read(tmp_path / "out.pftrace")
    assert [name for name, *_ in read.slices("program")] == ["make arrays", "launch"]
    _, begin, end, _ = read.slices("program")[1]
    ((name, first, last, _),) = read.slices(outcome.backend)
    assert name == "mandelbrot" and begin <= first <= last <= end
    threads = [name for name in read.parents if name.startswith("thread ")]
    assert {read.parents[name] for name in threads} == {outcome.backend}
    # Every lane was run once, by some thread.
    ran = sorted(
        tuple(map(int, label.removeprefix("lanes ").split("-"))) for name in threads for label, *_ in read.slices(name)
    )
    assert ran[0][0] == 0 and ran[-1][1] == width * height - 1
    assert all(one[1] + 1 == other[0] for one, other in itertools.pairwise(ran))
    assert read.counters == {"utilisation", "divergent branches"}
    shares = [value for _, value in read.values("utilisation")[:-1]]
    assert 0 < min(shares) <= max(shares) <= 100
    assert min(shares) < 100 * outcome.counters.utilisation < max(shares)


def test_what_happened_to_lanes_stands_at_the_end_of_the_span_that_ran_them(tmp_path):
    spans = (
        Span("thread 0", "group 1", 50, 90, (32, 64), 3),
        Span("thread 0", "group 0", 10, 40, (0, 32), 2),
        Span("thread 0", "group 0 to its end", 20, 40, (0, 1)),
    )
    samples = (Sample(40, Counters(instructions=8, slots=16), 0), Sample(90, Counters(instructions=9, slots=20), 3))
    printed = (PrintedLine(0, "first"), PrintedLine(40, "second"))
    outcome = Outcome("lanes", Trap(33, "trap", 7), 3, None, printed)
    outcome.timeline = Timeline("k", 10, 95, spans, samples, dropped=4)
    write_timeline(tmp_path / "out.pftrace", [outcome, Outcome("other", None, 0, None)])
    read = Read(tmp_path / "out.pftrace")
    assert read.slices("thread 0") == [
        *(("group 0 to its end", 10, 30, 1), ("group 0", 0, 30, 0)),
        ("group 1", 40, 80, 0),
    ]
    assert read.instants("thread 0") == [
        (30, "lane 0: first"),
        (80, "trap of lane 33, line 7: trap"),
        (80, "lane 40: second"),
    ]
    assert read.values("utilisation") == [(0, 50.0), (30, 25.0), (85, 0.0)]
    assert read.values("lanes that trapped") == [(30, 0.0), (80, 3.0)]
    (own,) = [packet.track_event for packet in read.of("lanes") if packet.track_event.name == "k"]
    notes = {note.name: note.uint_value for note in own.debug_annotations}
    assert notes == {"lanes that trapped": 3, "spans left out": 4}
    (group,) = [packet.track_event for packet in read.of("thread 0") if packet.track_event.name == "group 1"]
    notes = {note.name: note.uint_value for note in group.debug_annotations}
    assert notes == {"first lane": 32, "lanes": 32, "processor": 3}


def test_a_barrier_kernel_shows_what_lies_between_barriers(tmp_path):
    with pixel_cpu.Device("cpu", timeline=True) as device:
        kernel = pixel_cpu.loads(source("reduce")).kernel("sum")
        x, partial = np.ones(1 << 18, "f4"), np.zeros(64, "f4")
        outcome = kernel.launch(64 * 256, device=device, x=x, partial=partial)
    assert partial.sum() == 1 << 18
    write_timeline(tmp_path / "out.pftrace", [outcome])
    found = Read(tmp_path / "out.pftrace").slices("thread 0")
    inner = [name for name, *_, depth in found if depth == 1]
    assert any("to the barrier of line" in name for name in inner) and any("to its end" in name for name in inner)
    assert {depth for *_, depth in found} == {0, 1}


def test_a_file_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="give another name"):
        write_timeline(tmp_path / "file" / "out.pftrace", [])
