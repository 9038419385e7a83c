"""Decoding of events, and the conditions of `wait_for`."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ..errors import UsageError
from ..wire.event_records import AnyEvent, ExitedEvent, ReadyEvent, RunstateEvent
from ..wire.records import Runstate

_WORDS = ("ready", "running", "paused", "exited")

Condition = str | Callable[[AnyEvent], bool]
"""``ready``, ``running``, ``paused``, ``exited``, or a function of an event."""


def decode_event(frame: bytes) -> AnyEvent | None:
    """The event in a message's second frame; None for an event that this release does not know."""
    try:
        event: AnyEvent = msgspec.json.decode(frame, type=AnyEvent)
        return event
    except msgspec.ValidationError:
        return None


def validate_condition(condition: Condition) -> None:
    """Raise `UsageError` for a word that is none of the conditions."""
    if isinstance(condition, str) and condition not in _WORDS:
        raise UsageError(f"{condition!r} cannot be waited for; use {', '.join(_WORDS)}, or a function of an event")


def matches(event: AnyEvent, condition: Condition) -> bool:
    """Whether `event` is what `condition` waits for; a new subscriber's first event carries the current state."""
    if not isinstance(condition, str):
        return condition(event)
    if condition == "ready":
        return isinstance(event, ReadyEvent) or (isinstance(event, RunstateEvent) and event.ready)
    if condition == "exited":
        return isinstance(event, ExitedEvent)
    return isinstance(event, RunstateEvent) and event.runstate is Runstate(condition)
