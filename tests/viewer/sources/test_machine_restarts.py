"""A machine that ends and starts again, time after time: whoever follows it keeps nothing of those before."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from pathlib import Path

import pytest
from support import booted

from qemu_bridge.client import Client
from qemu_bridge.dashboard.samples import WatchedMachine
from qemu_bridge.errors import MachineGoneError
from qemu_bridge.gateway.machines import Machines as HttpMachines
from qemu_bridge.gateway.mcp_server.machines import Machines as McpMachines
from qemu_bridge.memory.ram import GuestRam
from qemu_bridge.wire import connection
from qemu_bridge.wire.event_records import ExitedEvent
from viewer.sources.machine import MachineSource

pytestmark = pytest.mark.guest
NAME = "restarted"


def held() -> tuple[int, int]:
    """Open files of this process, and mappings of files that are no more."""
    gc.collect()
    mappings = Path("/proc/self/maps").read_text().splitlines()
    return len(os.listdir("/proc/self/fd")), sum(line.endswith("(deleted)") for line in mappings)


class Followers:
    """One of everything that goes on when a machine of the same name runs again."""

    def __init__(self) -> None:
        self._source, self._http, self._mcp = None, HttpMachines(), McpMachines()
        self._client, self._events = None, None

    async def follow(self) -> None:
        """Find the machine that runs now, and read it by each of them; none takes the one before for it."""
        pid = connection.find_connection(NAME).daemon_pid
        self._follow_by_source()
        self._follow_by_client()
        assert (await self._http.client(NAME).status()).daemon_pid == pid
        assert self._http.client(NAME).connection.daemon_pid == pid and self._http.client(NAME).ram.size
        client = await asyncio.to_thread(self._mcp.client, NAME)
        assert client.connection.daemon_pid == pid and client.page_map().value.entries.size
        watched = WatchedMachine(connection.find_connection(NAME))
        await watched.refresh()
        assert watched.status.daemon_pid == pid
        await watched.close()

    def _follow_by_source(self) -> None:
        before, self._source = self._source, MachineSource(NAME) if self._source is None else self._source.reopen()
        if before is not None:
            with pytest.raises(MachineGoneError):
                before.validate()
            before.close()
        thread = threading.Thread(target=self._source.page_map)
        thread.start()
        thread.join()
        assert self._source.ram.view[:4096].any() and self._source.page_map().counts()

    def _follow_by_client(self) -> None:
        old, events = self._client, self._events
        if old is not None:
            assert not old.is_alive()
            for action in (old.ps, old.validate, old.status):
                with pytest.raises(MachineGoneError, match="ended"):
                    action()
            assert isinstance(list(events)[-1], ExitedEvent)
            old.close()
        self._client = Client.connect(NAME)
        assert self._client.ram.size
        self._events = self._client.events()
        next(self._events)

    async def close(self) -> None:
        """Give up all."""
        self._source.close()
        self._client.close()
        self._events.close()
        self._mcp.close()
        await self._http.close()


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("times", [3, pytest.param(50, marks=pytest.mark.long)])
def test_restarts_leave_no_descriptor_and_no_ram_behind(image, times):
    async def restart() -> list[tuple[int, int]]:
        found, followers = [], Followers()
        for _ in range(times):
            with booted(NAME, image, memory=96 << 20):
                await followers.follow()
            found.append(await settle(found))
        await followers.close()
        return found

    found = asyncio.run(restart())
    assert found[-1][0] <= found[1][0] and found[-1][1] <= found[1][1], found


async def settle(before: list[tuple[int, int]]) -> tuple[int, int]:
    """What is held; a moment later where that is more than after the second restart: libzmq closes sockets on a thread of its own."""
    deadline = time.monotonic() + 5
    while len(before) > 1 and held() > before[1] and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    return held()


def test_ram_that_nobody_closed_is_given_back(machine):
    def look() -> None:
        assert GuestRam(machine.ram.path, machine.ram.layout).size
        with Client.connect(machine.name) as client:
            assert client.ram.size and client.page_map().value.entries.size
        with MachineSource(machine.name) as source, source.reopen() as again:
            assert again.ram.size == source.ram.size

    look()
    before = held()
    for _ in range(5):
        look()
    assert held() <= before
