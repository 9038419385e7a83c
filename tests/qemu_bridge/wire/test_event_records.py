"""Events carry their name in the JSON."""

from typing import get_args

import msgspec
import pytest

from qemu_bridge.wire.event_records import AnyEvent, ExitedEvent, QmpEvent, ReadyEvent, RunstateEvent
from qemu_bridge.wire.records import Runstate

EXAMPLES = (
    RunstateEvent("demo", 1.5, Runstate.GUEST_PANICKED, True),
    ReadyEvent("demo", 1.5),
    QmpEvent("demo", 1.5, "STOP", {}),
    ExitedEvent("demo", 1.5, "it was stopped"),
)


def test_there_is_an_example_of_each():
    assert {type(example) for example in EXAMPLES} == set(get_args(AnyEvent))


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_an_event_travels_under_its_name(event):
    row = msgspec.to_builtins(event)
    assert row["event"] == type(event).__name__.removesuffix("Event").lower()
    assert msgspec.convert(row, AnyEvent) == event
