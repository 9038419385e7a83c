"""Which process is at an end of a flow: found in the sockets of the guest, read from its RAM from outside.

A new flow's machines are asked at once, since a short connection's sockets soon are gone: what is found is what the guest's
kernel held while the frames were under way. The first question to a machine takes longest, so all are asked one as soon as they
send anything, and again and again while somebody watches the network. Each machine is asked one question at a time, and never for more than a
part of the time, however many flows there are.
"""

from __future__ import annotations

import asyncio
import importlib
import ipaddress
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import GlassBoxError
from ..host.tasks import TaskSet
from ..wire.network_records import Naming
from .flows import End, LiveFlow
from .frames import ICMP, ICMP6, TCP, UDP

if TYPE_CHECKING:
    from ..client import AsyncClient

logger = logging.getLogger(__name__)

MOST_WAITING = 512
"""Ends of one machine that wait for a name; more stay unknown."""
TRIES = 8
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 2.0
_SHARE, _LONGEST_PEACE_S = 4, 0.5
"""After a question a machine has peace for so many times as long as it took, and not longer than that."""
_PROTOCOLS = {TCP: "tcp", UDP: "udp"}
_ANY = ("0.0.0.0", "[::]")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """The processes that have a socket open, and what kind of a socket for the flow it is."""

    naming: Naming
    pids: tuple[int, ...]


class Sockets:
    """The sockets of one guest at one moment: rows of the overlay ``sockets``."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._connected: dict[tuple[str, str, str], Row] = {}
        self._bound: dict[tuple[str, str], Row] = {}
        self._raw: list[Row] = []
        for row in rows:
            protocol, local, remote = str(row["protocol"]), _plain(str(row["local"])), _plain(str(row["remote"]))
            kind = protocol.removesuffix("6")
            if kind == "raw":
                self._raw.append(row)
            elif remote.endswith(":0"):
                self._bound[kind, local] = row
            else:
                self._connected[kind, local, remote] = row

    def find(self, protocol: int, end: End, other: End) -> Found | None:
        """Who has the socket of `end`, whose peer is `other`; None where there is no such socket, or nobody has it open."""
        if protocol in (ICMP, ICMP6):
            return self._find_raw(protocol, end.port)
        kind, local = _PROTOCOLS[protocol], _host_port(end.address, end.port)
        row = self._connected.get((kind, local, _host_port(other.address, other.port)))
        if row is not None and row["pids"]:
            return Found(Naming.SOCKET, tuple(row["pids"]))
        for host in (None, *_ANY):
            row = self._bound.get((kind, local if host is None else f"{host}:{end.port}"))
            if row is not None and row["pids"]:
                return Found(Naming.SOCKET if kind == "udp" else Naming.LISTENER, tuple(row["pids"]))
        return None

    def _find_raw(self, protocol: int, identifier: int) -> Found | None:
        found = [row for row in self._raw if row["pids"] and str(row["local"]).endswith(f":{protocol}")]
        # Programs send the low bits of their pid as the identifier of an echo.
        own = [row for row in found if any(pid & 0xFFFF == identifier for pid in row["pids"])]
        chosen = own or (found if len(found) == 1 else [])
        return Found(Naming.SOCKET, tuple(chosen[0]["pids"])) if chosen else None


def _plain(text: str) -> str:
    """The address of a socket; an IPv4 connection of an IPv6 socket as one of IPv4."""
    host, _, port = text.rpartition(":")
    mapped = ipaddress.IPv6Address(host[1:-1]).ipv4_mapped if host.startswith("[::ffff:") else None
    return text if mapped is None else f"{mapped}:{port}"


def _host_port(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Namer:
    """Asks the machines' daemons who is at the ends of flows; calls `named` with each flow of which it learned something."""

    def __init__(self, named: Callable[[LiveFlow], None]) -> None:
        self._named = named
        self._machines: dict[str, _Machine] = {}
        self._tasks = TaskSet()

    def want(self, flow: LiveFlow) -> None:
        """Have both ends of a new flow named; those that no process stands behind are so at once."""
        protocol = flow.key[0]
        source, destination = flow.ends
        if protocol not in (*_PROTOCOLS, ICMP, ICMP6) or (protocol in (ICMP, ICMP6) and not source.port):
            source.settle(Naming.KERNEL)
            destination.settle(Naming.KERNEL)
            if source.machine:
                self._machine(source.machine)
            return
        if protocol in (ICMP, ICMP6):
            destination.settle(Naming.KERNEL)
        for end in flow.ends:
            if not end.machine:
                end.settle(Naming.UNKNOWN)
            elif not end.is_settled:
                self._machine(end.machine).want(flow, end)

    def warm(self, machines: Iterable[str]) -> None:
        """Ask each of `machines` a question, so that the next one is answered at once."""
        for name in machines:
            self._machine(name).wake()

    def _machine(self, name: str) -> _Machine:
        machine = self._machines.get(name)
        if machine is None:
            machine = self._machines[name] = _Machine(name, self._named)
            machine.task = self._tasks.start(machine.run(), f"names of {name}")
        return machine

    def forget(self, machine: str) -> None:
        """Ask a machine no more: it has left."""
        found = self._machines.pop(machine, None)
        if found is not None:
            found.give_up()
            found.task.cancel()

    async def close(self) -> None:
        """End all questions."""
        await self._tasks.cancel_all()


class _Machine:
    """The ends of flows on one machine that have no name yet."""

    task: asyncio.Task[None]

    def __init__(self, name: str, named: Callable[[LiveFlow], None]) -> None:
        self._name, self._named = name, named
        self._waiting: list[tuple[LiveFlow, End, int]] = []
        self._wanted = asyncio.Event()
        self.wake()

    def wake(self) -> None:
        """Ask a question, also where nothing waits."""
        self._wanted.set()

    def want(self, flow: LiveFlow, end: End) -> None:
        """Name `end` of a flow."""
        if len(self._waiting) >= MOST_WAITING:
            end.settle(Naming.UNKNOWN)
            return
        self._waiting.append((flow, end, 0))
        self._wanted.set()

    def give_up(self) -> None:
        """Nothing more is learned about the ends that wait."""
        for flow, end, _ in self._waiting:
            self._finish(flow, end)
        self._waiting = []

    async def run(self) -> None:
        """Answer for as long as the machine is on the network."""
        # A network on which nothing was sent needs no client; and frames do not wait for one to be loaded.
        await asyncio.to_thread(importlib.import_module, "qemu_bridge.client")
        from ..client import AsyncClient

        pause_s = _FIRST_PAUSE_S
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                async with AsyncClient.connect(self._name) as client:
                    while True:
                        took_s = await self._ask(client)
                        if not self._waiting:
                            break
                        await asyncio.sleep(min(took_s * _SHARE, _LONGEST_PEACE_S))
                        pause_s = await self._pause(pause_s)
            except GlassBoxError as error:
                # It is still booting, or its kernel cannot be read.
                logger.debug("the sockets of %s are not known: %s", self._name, error)
                self._age()
                await asyncio.sleep(_LONGEST_PAUSE_S / 2)
                if self._waiting:
                    self._wanted.set()
            pause_s = _FIRST_PAUSE_S

    async def _pause(self, pause_s: float) -> float:
        """Wait for a new flow, `pause_s` at most; returns how long the next pause may be."""
        try:
            async with asyncio.timeout(pause_s):
                await self._wanted.wait()
        except TimeoutError:
            return min(2 * pause_s, _LONGEST_PAUSE_S)
        self._wanted.clear()
        return _FIRST_PAUSE_S

    async def _ask(self, client: AsyncClient) -> float:
        """Look for all ends that wait; returns the seconds that took."""
        begun, asked = time.monotonic(), list(self._waiting)
        sockets = Sockets((await client.overlay("sockets")).value.rows)
        found = [(end, sockets.find(flow.key[0], end, _peer(flow, end))) for flow, end, _ in asked]
        names = {}
        if any(each is not None for _, each in found):
            names = {process.pid: process.name for process in await client.ps()}
        for end, each in found:
            if each is not None:
                end.naming, end.pids, end.process = each.naming, each.pids, names.get(each.pids[0], "")
        self._age(len(asked))
        return time.monotonic() - begun

    def _age(self, count: int | None = None) -> None:
        """Of the first `count` ends those that have their socket, or were looked for often enough, wait no more."""
        count = len(self._waiting) if count is None else count
        old, new = self._waiting[:count], self._waiting[count:]
        self._waiting = []
        for flow, end, tries in old:
            if end.naming is Naming.SOCKET or tries + 1 >= TRIES:
                self._finish(flow, end)
            else:
                self._waiting.append((flow, end, tries + 1))
        self._waiting += new

    def _finish(self, flow: LiveFlow, end: End) -> None:
        end.settle(Naming.UNKNOWN)
        self._named(flow)


def _peer(flow: LiveFlow, end: End) -> End:
    return flow.ends[1] if end is flow.ends[0] else flow.ends[0]
