"""Events: what a daemon tells all its clients, on the events socket."""

from __future__ import annotations

from typing import Any

from ..memory.addresses import RamOffset
from .records import Record, Runstate

_VIEWER_TOPIC = b"viewer."


def viewer_topic(session: int) -> bytes:
    """The topic that a viewer subscribes to for as long as it is open; nothing is published on it.

    >>> viewer_topic(3)
    b'viewer.3'
    """
    return _VIEWER_TOPIC + str(session).encode()


def viewer_of_topic(topic: bytes) -> int | None:
    """The session whose `viewer_topic` is `topic`, None for another topic."""
    number = topic.removeprefix(_VIEWER_TOPIC)
    return int(number) if topic.startswith(_VIEWER_TOPIC) and number.isdigit() and len(number) < 16 else None


class Event(Record, frozen=True, tag_field="event"):
    """Base of the daemon's events: the machine's name, and the time in seconds since 1970."""

    machine: str
    time: float


class RunstateEvent(Event, frozen=True, tag="runstate"):
    """The vCPUs started or stopped: `runstate` is ``running`` or ``paused``, `status` has QEMU's own word. A new subscriber gets the current state first."""

    runstate: Runstate
    ready: bool


class ReadyEvent(Event, frozen=True, tag="ready"):
    """The guest's user space is up."""


class QmpEvent(Event, frozen=True, tag="qmp"):
    """An event of QEMU, unchanged."""

    name: str
    data: dict[str, Any]


class ViewerEvent(Event, frozen=True, tag="viewer"):
    """Viewers are told what to show, as `highlight` or `fly_to` asks; a viewer whose session is not named ignores it.

    Attributes:
        number: of what they are told; the next one is greater.
        sessions: the viewers that are meant.
        target: its memory is to stand out; empty to let nothing stand out, None to leave that as it is.
        place: offset in the RAM file of a byte to select, None for none.
        view: text of a view to show, empty for none.
        fly: whether the camera goes there.
    """

    number: int
    sessions: tuple[int, ...]
    target: str | None = None
    place: RamOffset | None = None
    view: str = ""
    fly: bool = True


class ExitedEvent(Event, frozen=True, tag="exited"):
    """The machine has ended; the last event.

    `status` is QEMU's exit status, negative for the signal that killed it, None where it is unknown.
    """

    reason: str
    status: int | None = None


AnyEvent = RunstateEvent | ReadyEvent | QmpEvent | ViewerEvent | ExitedEvent
