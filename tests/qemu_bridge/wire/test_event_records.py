"""Events carry their name in the JSON."""

from typing import get_args

import msgspec
import pytest

from qemu_bridge.wire.event_records import (
    AnyEvent,
    ExitedEvent,
    QmpEvent,
    ReadyEvent,
    RunstateEvent,
    ViewerEvent,
    viewer_of_topic,
    viewer_topic,
)
from qemu_bridge.wire.records import Runstate

EXAMPLES = (
    RunstateEvent("demo", 1.5, Runstate.GUEST_PANICKED, True),
    ReadyEvent("demo", 1.5),
    QmpEvent("demo", 1.5, "STOP", {}),
    ViewerEvent("demo", 1.5, 3, (1,), "pid:1"),
    ExitedEvent("demo", 1.5, "it was stopped"),
)


def test_there_is_an_example_of_each():
    assert {type(example) for example in EXAMPLES} == set(get_args(AnyEvent))


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_an_event_travels_under_its_name(event):
    row = msgspec.to_builtins(event)
    assert row["event"] == type(event).__name__.removesuffix("Event").lower()
    assert msgspec.convert(row, AnyEvent) == event


def test_the_topic_of_a_viewer_is_its_own():
    assert viewer_of_topic(viewer_topic(12)) == 12
    assert [viewer_of_topic(topic) for topic in (b"", b"viewer", b"viewer.", b"viewer.-1", b"qmp")] == [None] * 5
