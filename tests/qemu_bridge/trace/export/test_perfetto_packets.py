"""Packets, read back by Perfetto's own protobuf classes."""

import pytest
from perfetto.protos.perfetto.trace import perfetto_trace_pb2

from qemu_bridge.trace.export.perfetto_packets import INSTANT, counter, detail, event, track, varint


@pytest.mark.parametrize(
    ("value", "data"), [(0, b"\0"), (127, b"\x7f"), (150, b"\x96\x01"), (1 << 63, b"\x80" * 9 + b"\x01")]
)
def test_varints_are_those_of_the_specification(value, data):
    assert varint(value) == data


def test_tracks_events_and_counters_are_read_back():
    packets = (
        track(1, "lanes", is_first=True),
        track(2, "in use \udcff", parent=1, unit="%"),
        event(7, 1, INSTANT, "here", detail("lane", 1 << 40) + detail("why", "ä")),
        counter(9, 2, 0.1),
    )
    trace = perfetto_trace_pb2.Trace()
    trace.ParseFromString(b"".join(packets))
    first, second, instant, value = trace.packet
    assert first.sequence_flags == 1 and not second.sequence_flags
    assert (first.track_descriptor.uuid, first.track_descriptor.name) == (1, "lanes")
    assert second.track_descriptor.parent_uuid == 1 and second.track_descriptor.counter.unit_name == "%"
    assert second.track_descriptor.name == "in use ?"
    kinds = perfetto_trace_pb2.TrackEvent
    own = instant.track_event
    assert (instant.timestamp, own.type, own.track_uuid, own.name) == (7, kinds.TYPE_INSTANT, 1, "here")
    assert [(note.name, note.uint_value, note.string_value) for note in own.debug_annotations] == [
        ("lane", 1 << 40, ""),
        ("why", 0, "ä"),
    ]
    own = value.track_event
    assert (value.timestamp, own.type, own.track_uuid) == (9, kinds.TYPE_COUNTER, 2)
    assert own.double_counter_value == 0.1
