"""The events socket: publishes every change to all clients, and the current state to a new subscriber."""

from __future__ import annotations

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


class EventPublisher:
    """Publishes the events of one machine on an XPUB socket."""

    def __init__(self, socket: zmq.asyncio.Socket, name: str, state: MachineState, viewers: Viewers) -> None:
        socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        self._socket = socket
        self._name = name
        self._state = state
        self._viewers = viewers

    async def runstate(self) -> None:
        """The vCPUs started or stopped."""
        await self._publish(RunstateEvent(self._name, time.time(), self._state.runstate, self._state.ready))

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

    async def welcome_subscribers(self) -> None:
        """Send each new subscriber the current state, and note which viewers come and go, until cancelled."""
        while True:
            message = await self._socket.recv()
            kind, topic = message[:1], message[1:]
            if kind not in (_SUBSCRIBED, _UNSUBSCRIBED):
                continue
            is_viewer = self._viewers.note(topic, kind == _SUBSCRIBED)
            if kind == _SUBSCRIBED and not is_viewer:
                await self.runstate()

    async def _publish(self, event: Event) -> None:
        topic = str(event.__struct_config__.tag).encode()
        await self._socket.send_multipart([topic, msgspec.json.encode(event)])
