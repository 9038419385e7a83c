"""Which event is the one that is waited for."""

import msgspec
import pytest

from qemu_bridge.client.event_stream import decode_event, matches, validate_condition
from qemu_bridge.errors import UsageError
from qemu_bridge.wire.event_records import ExitedEvent, QmpEvent, ReadyEvent, RunstateEvent
from qemu_bridge.wire.records import Runstate

EVENTS = {
    "running": RunstateEvent("demo", 1.0, Runstate.RUNNING, False),
    "running and ready": RunstateEvent("demo", 1.0, Runstate.RUNNING, True),
    "paused": RunstateEvent("demo", 1.0, Runstate.PAUSED, False),
    "ready": ReadyEvent("demo", 1.0),
    "qmp": QmpEvent("demo", 1.0, "RESET", {"guest": True}),
    "exited": ExitedEvent("demo", 1.0, "it was stopped", 0),
}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("ready", {"ready", "running and ready"}),
        ("running", {"running", "running and ready"}),
        ("paused", {"paused"}),
        ("exited", {"exited"}),
        (lambda event: isinstance(event, QmpEvent) and event.name == "RESET", {"qmp"}),
    ],
)
def test_a_condition_is_met_by_the_events_that_say_so(condition, expected):
    assert {name for name, event in EVENTS.items() if matches(event, condition)} == expected


def test_an_unknown_condition_is_a_mistake():
    with pytest.raises(UsageError, match="asleep"):
        validate_condition("asleep")
    for condition in ("ready", "exited", lambda event: True):
        validate_condition(condition)


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_an_event_comes_back_as_it_was_told(event):
    assert decode_event(msgspec.json.encode(event)) == event


def test_an_event_of_a_later_release_is_passed_over():
    assert decode_event(b'{"event": "migrated", "machine": "demo", "time": 1.0}') is None
