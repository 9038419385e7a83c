"""Events and decisions are values."""

import typing

import msgspec
import pytest

from gpu_hypervisor.scheduler import Decision, Event, JobClass, Submitted


@pytest.mark.parametrize("kind", [*typing.get_args(Event), *typing.get_args(Decision)])
def test_they_are_frozen_and_compare_by_value(kind):
    values = ["x"] * len(kind.__struct_fields__)
    assert kind(*values) == kind(*values)
    with pytest.raises(AttributeError):
        setattr(kind(*values), kind.__struct_fields__[0], 1)


def test_a_trace_of_events_can_be_kept_and_played_again():
    event = Submitted(5, 1, "a", "k", 10, JobClass.BATCH, 100)
    assert msgspec.json.decode(msgspec.json.encode(event), type=Submitted) == event
