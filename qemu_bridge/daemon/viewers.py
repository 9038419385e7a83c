"""The viewers that are open on a machine.

A viewer joins, which gives it a number, and subscribes to a topic of its own on the events socket. It is open for as long as it
is subscribed: ZeroMQ tells the daemon when a subscriber leaves, however it ends, on this host or another.
"""

from __future__ import annotations

import time

import msgspec

from ..errors import MachineError, UsageError
from ..wire.event_records import viewer_of_topic
from ..wire.viewer_records import ViewerSession

_MOST_JOINING = 64
"""Viewers that have joined and not subscribed: the oldest are forgotten."""


class Viewers:
    """The open viewers of machine `name`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._last = self._told = 0
        self._joining: dict[int, ViewerSession] = {}
        self._open: dict[int, ViewerSession] = {}

    def join(self, pid: int) -> int:
        """The number of a new viewer in process `pid`; it is open once it subscribes."""
        self._last += 1
        self._joining[self._last] = ViewerSession(self._last, pid, time.time())
        while len(self._joining) > _MOST_JOINING:
            del self._joining[min(self._joining)]
        return self._last

    def note(self, topic: bytes, is_subscribed: bool) -> bool:
        """Note who subscribed to `topic`, or left it; return whether it is the topic of a viewer."""
        session = viewer_of_topic(topic)
        if session is None:
            return False
        if not is_subscribed:
            self._open.pop(session, None)
        elif session in self._joining:
            self._open[session] = self._joining.pop(session)
        return True

    def report(self, session: int, view: str, problem: str, done: int) -> None:
        """Keep what viewer `session` shows; `UsageError` if it is not open."""
        self._open[session] = msgspec.structs.replace(self._one(session), view=view, problem=problem, done=done)

    def all(self) -> tuple[ViewerSession, ...]:
        """The open ones, in the order in which they joined."""
        return tuple(self._open[session] for session in sorted(self._open))

    def choose(self, session: int | None) -> tuple[int, ...]:
        """The sessions that are meant: `session`, or all; `MachineError` where none is open, `UsageError` for one that is not."""
        if not self._open:
            raise MachineError(f"no viewer of {self._name!r} is open; open one with 'glassbox view {self._name}'")
        return tuple(sorted(self._open)) if session is None else (self._one(session).session,)

    def next_number(self) -> int:
        """The number of what viewers are told next."""
        self._told += 1
        return self._told

    def _one(self, session: int) -> ViewerSession:
        if session not in self._open:
            known = ", ".join(map(str, sorted(self._open))) or "none"
            raise UsageError(
                f"there is no viewer session {session}; open are {known}, see 'glassbox viewers {self._name}'"
            )
        return self._open[session]
