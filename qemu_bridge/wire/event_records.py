"""Events: what a daemon tells all its clients, on the events socket."""

from __future__ import annotations

from typing import Any

from .records import Record, Runstate


class Event(Record, frozen=True, tag_field="event"):
    """Base of the daemon's events: the machine's name, and the time in seconds since 1970."""

    machine: str
    time: float


class RunstateEvent(Event, frozen=True, tag="runstate"):
    """The vCPUs started or stopped. A new subscriber gets the current state first."""

    runstate: Runstate
    ready: bool


class ReadyEvent(Event, frozen=True, tag="ready"):
    """The guest's user space is up."""


class QmpEvent(Event, frozen=True, tag="qmp"):
    """An event of QEMU, unchanged."""

    name: str
    data: dict[str, Any]


class ExitedEvent(Event, frozen=True, tag="exited"):
    """The machine has ended; the last event.

    `status` is QEMU's exit status, negative for the signal that killed it, None where it is unknown.
    """

    reason: str
    status: int | None = None


AnyEvent = RunstateEvent | ReadyEvent | QmpEvent | ExitedEvent
