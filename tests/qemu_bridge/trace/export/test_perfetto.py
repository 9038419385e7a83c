"""Time lines, read back by Perfetto's own protobuf classes; with folded stacks of the same trace of a real guest."""

import re
from collections import Counter

import pytest
from perfetto.protos.perfetto.trace import perfetto_trace_pb2
from support import booted, glassbox
from trace_calls import MAIN, NAMING, Calls
from trace_producer import Event, event, split64, window_start, window_stop
from trace_program import record_words

from qemu_bridge.trace.export import export
from qemu_bridge.trace.file.reader import TraceReader


def packets(path, output):
    export(path, "perfetto", output, NAMING)
    trace = perfetto_trace_pb2.Trace()
    trace.ParseFromString(output.read_bytes())
    return trace.packet


def test_perfetto_reads_processes_and_system_calls(tmp_path):
    switch = event(Event.PAGE_TABLE, *split64(0x5000))
    begin, end = event(Event.SYSCALL, *split64(39)), event(Event.SYSRET, *split64(0))
    fault = event(Event.EXCEPTION, *split64(MAIN), *split64(0), small=14)
    words = [*window_start(), 1, 3, 5, *begin, 4, 2, *end, 1, 3, *switch, 5, *fault, 4, 2, *window_stop()]
    found = packets(record_words(tmp_path / "trace", Calls, [words]), tmp_path / "out.pftrace")
    tracks = {p.track_descriptor.uuid: p.track_descriptor.name for p in found if p.HasField("track_descriptor")}
    assert tracks == {1: "vCPU 0", 2: "system calls"}
    kinds = perfetto_trace_pb2.TrackEvent
    rows = [
        (p.timestamp, p.track_event.track_uuid, p.track_event.type, p.track_event.name)
        for p in found
        if p.HasField("track_event")
    ]
    assert rows == [
        (0, 1, kinds.TYPE_SLICE_BEGIN, "0x1000 sh"),
        (7, 2, kinds.TYPE_SLICE_BEGIN, "system call 39"),
        (10, 2, kinds.TYPE_SLICE_END, ""),
        (13, 1, kinds.TYPE_SLICE_END, ""),
        (13, 1, kinds.TYPE_SLICE_BEGIN, "0x5000 sh"),
        (17, 2, kinds.TYPE_INSTANT, "exception 14"),
        (20, 1, kinds.TYPE_SLICE_END, ""),
    ]


@pytest.mark.guest
def test_a_real_trace_gives_stacks_of_the_kernel_and_slices_that_nest(image, tmp_path):
    path = tmp_path / "real.gbt"
    with booted("exported", image) as machine:
        answer = glassbox("trace", machine.name, "-o", str(path), "--seconds", "0.5")
        assert answer.returncode == 0 and glassbox("trace", "check", str(path)).returncode == 0
        for form in ("folded", "perfetto"):
            words = ("--format", form, "-o", str(tmp_path / form), "--symbols", machine.name)
            answer = glassbox("trace", "export", str(path), *words)
            assert answer.returncode == 0, answer.stderr
    lines = (tmp_path / "folded").read_text().splitlines()
    with TraceReader(path) as trace:
        assert sum(int(line.rsplit(" ", 1)[1]) for line in lines) == trace.info.instructions
    assert any(re.search(r";__sysvec_apic_timer_interrupt;|;tick_sched_timer|;asm_sysvec", line) for line in lines)
    trace = perfetto_trace_pb2.Trace()
    trace.ParseFromString((tmp_path / "perfetto").read_bytes())
    depth, last = Counter(), Counter()
    for packet in trace.packet:
        if packet.HasField("track_event"):
            own = packet.track_event
            depth[own.track_uuid] += {1: 1, 2: -1}.get(own.type, 0)
            assert depth[own.track_uuid] in (0, 1) and packet.timestamp >= last[own.track_uuid]
            last[own.track_uuid] = packet.timestamp
    assert set(depth.values()) <= {0} and len(last) == 2
