"""The events socket: publishes every change to all clients, and the current state to a new subscriber."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import zmq
import zmq.asyncio

from ..wire.event_records import Event, ExitedEvent, QmpEvent, ReadyEvent, RunstateEvent
from .state import MachineState

_SUBSCRIBED = b"\x01"


class EventPublisher:
    """Publishes the events of one machine on an XPUB socket."""

    def __init__(self, socket: zmq.asyncio.Socket, name: str, state: MachineState) -> None:
        socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        self._socket = socket
        self._name = name
        self._state = state

    async def runstate(self) -> None:
        """The vCPUs started or stopped."""
        await self._publish(RunstateEvent(self._name, time.time(), self._state.runstate, self._state.ready))

    async def ready(self) -> None:
        """User space is up."""
        await self._publish(ReadyEvent(self._name, time.time()))

    async def qmp(self, name: str, data: dict[str, Any]) -> None:
        """An event of QEMU, relayed as it is."""
        await self._publish(QmpEvent(self._name, time.time(), name, data))

    async def exited(self, reason: str, status: int | None) -> None:
        """The machine has ended."""
        await self._publish(ExitedEvent(self._name, time.time(), reason, status))

    async def welcome_subscribers(self) -> None:
        """Send each new subscriber the current state, until cancelled."""
        while True:
            if (await self._socket.recv())[:1] == _SUBSCRIBED:
                await self.runstate()

    async def _publish(self, event: Event) -> None:
        topic = str(event.__struct_config__.tag).encode()
        await self._socket.send_multipart([topic, msgspec.json.encode(event)])
