"""The events sockets: publish every change to all clients, and the current state to a new subscriber."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import msgspec
import zmq
import zmq.asyncio

from ..memory.addresses import RamOffset
from ..wire.event_records import Event, ExitedEvent, QmpEvent, ReadyEvent, RunstateEvent, ViewerEvent
from .state import MachineState
from .viewers import Viewers

_SUBSCRIBED, _UNSUBSCRIBED = b"\x01", b"\x00"
MAX_SUBSCRIPTION_BYTES = 4096
"""A subscriber that sends more is disconnected by ZeroMQ."""
MOST_UNREAD = 1000
"""Events that wait for one subscriber that does not read; it loses later ones, and nobody else does."""
_MOST_AT_ONCE, _WELCOME_S = 10_000, 0.02
"""Subscriptions within this time are answered by one event: every subscriber gets it."""


class EventPublisher:
    """Publishes the events of one machine on XPUB sockets."""

    def __init__(self, name: str, state: MachineState, viewers: Viewers) -> None:
        self._sockets: list[zmq.asyncio.Socket] = []
        self._name = name
        self._state = state
        self._viewers = viewers

    def add(self, socket: zmq.asyncio.Socket) -> None:
        """Publish on `socket` too, which is not bound yet."""
        socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_SUBSCRIPTION_BYTES)
        socket.setsockopt(zmq.SNDHWM, MOST_UNREAD)
        self._sockets.append(socket)

    async def welcome_subscribers(self, socket: zmq.asyncio.Socket) -> None:
        """Send each new subscriber of `socket` the current state, and note which viewers come and go, until cancelled."""
        while True:
            wants_state = self._note(await socket.recv())
            with contextlib.suppress(zmq.Again):
                for _ in range(_MOST_AT_ONCE):
                    wants_state |= self._note(await socket.recv(zmq.NOBLOCK))
            if wants_state:
                await self._publish(self._current(), socket)
                await asyncio.sleep(_WELCOME_S)

    def remove(self, socket: zmq.asyncio.Socket) -> None:
        """Publish on `socket` no more."""
        self._sockets.remove(socket)

    async def runstate(self) -> None:
        """The vCPUs started or stopped."""
        await self._publish(self._current())

    async def ready(self) -> None:
        """User space is up."""
        await self._publish(ReadyEvent(self._name, time.time()))

    async def qmp(self, name: str, data: dict[str, Any]) -> None:
        """An event of QEMU, relayed as it is."""
        await self._publish(QmpEvent(self._name, time.time(), name, data))

    async def viewers(
        self, number: int, sessions: tuple[int, ...], target: str | None, place: RamOffset | None, view: str, fly: bool
    ) -> None:
        """Viewers are told what to show."""
        await self._publish(ViewerEvent(self._name, time.time(), number, sessions, target, place, view, fly))

    async def exited(self, reason: str, status: int | None) -> None:
        """The machine has ended."""
        await self._publish(ExitedEvent(self._name, time.time(), reason, status))

    def _note(self, message: bytes) -> bool:
        """Note whom a subscription is of; return whether it is of somebody new who wants to know the state."""
        kind, topic = message[:1], message[1:]
        if kind not in (_SUBSCRIBED, _UNSUBSCRIBED):
            return False
        is_viewer = self._viewers.note(topic, kind == _SUBSCRIBED)
        return kind == _SUBSCRIBED and not is_viewer

    def _current(self) -> RunstateEvent:
        return RunstateEvent(self._name, time.time(), self._state.runstate, self._state.ready)

    async def _publish(self, event: Event, *sockets: zmq.asyncio.Socket) -> None:
        topic = str(event.__struct_config__.tag).encode()
        for socket in sockets or list(self._sockets):
            await socket.send_multipart([topic, msgspec.json.encode(event)])
