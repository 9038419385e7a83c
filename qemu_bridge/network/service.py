"""The process of a network's switch: connects machines, answers clients, ends when nobody is left.

One socket takes all: a first line says whether the other side is a machine, asks one thing, or watches
(`wire.network_records`). To a machine's QEMU the switch connects, so that it can do so again after a switch was killed. A watcher that does not read in time loses frames, or its connection; the network does not wait for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from typing import cast

import msgspec

from ..errors import GlassBoxError
from ..host.tasks import TaskSet
from ..wire import network_records as records
from ..wire.connection import iter_connections
from ..wire.network_records import Accepted, AnyRequest, Flows, Join, NetworkStatus, Place, Refused
from ..wire.records import Record
from . import pcapng
from .flows import FlowTable, LiveFlow
from .frames import read_frame
from .naming import Namer
from .place import socket_path
from .switch import MOST_MACHINES, Port, Switch

logger = logging.getLogger(__name__)

END_AFTER_S, FIRST_MACHINE_S = 3.0, 30.0
"""A switch without machines ends after so long; a new one waits longer for its first."""
MOST_WATCHERS = 32
MOST_REQUEST_BYTES = 4096
REQUEST_TIME_S = 10.0
"""Who connects and says nothing keeps its place no longer than this."""
WATCHER_BACKLOG_BYTES = 8 << 20
WATCHED_S, WARM_S = 300.0, 30.0
"""So long after a client asked for flows machines are kept ready to say whose they are, by a question every so often."""
_TICK_S = 1.0
_BUFFER_BYTES = 256 << 10


class Service:
    """The switch of network `name`, its flows and its watchers."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.switch, self.flows = Switch(), FlowTable()
        self.namer = Namer(self.tell)
        self.captures: set[Capture] = set()
        self.followers: set[Connection] = set()
        self.connections: set[Connection] = set()
        # All connections read into it in turn: what one leaves there it takes away at once.
        self.buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._started = time.time()
        self._watched_until = self._warm_at = 0.0
        self._ends_at = time.monotonic() + FIRST_MACHINE_S
        self._stopping = asyncio.Event()
        self._tasks = TaskSet()

    async def run(self, listener: socket.socket) -> None:
        """Serve until no machine has been on the network for `END_AFTER_S`, or a signal comes."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        # Machines whose switch was killed have told their guests an address.
        for found in iter_connections():
            if found.net == self.name:
                self.switch.keep(found.name, int(found.address.rpartition(".")[2]))
        server = await loop.create_unix_server(lambda: Connection(self), sock=listener)
        self._tasks.start(self._tick(), "tick")
        try:
            await self._stopping.wait()
        finally:
            server.close()
            for connection in list(self.connections):
                connection.end()
            await self._tasks.cancel_all()
            await self.namer.close()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            for flow in self.flows.close_idle(time.time()):
                self.tell(flow)
            if not self.switch.ports and time.monotonic() > self._ends_at:
                logger.info("the last machine has left")
                self._stopping.set()
            self._keep_warm()
            if not socket_path(self.name).exists():
                # Removed by a cleaner of temporary files; nobody can find this network any more.
                logger.warning("the socket was removed; it is made again")
                loop = asyncio.get_running_loop()
                await loop.create_unix_server(lambda: Connection(self), os.fspath(socket_path(self.name)))

    def connect(self, request: Join, asker: Connection) -> None:
        """Connect to the socket of a machine, and tell `asker` its place or why not."""
        self._tasks.start(self._connect(request, asker), "machine")

    async def _connect(self, request: Join, asker: Connection) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, link = await loop.create_unix_connection(lambda: Connection(self, request.machine), request.socket)
        except (OSError, ValueError) as error:
            asker.refuse(f"{request.socket} cannot be connected to ({error}); is {request.machine!r} running?")
        else:
            asker.accept(link)

    def left(self) -> None:
        """A machine has left; if it was the last one the network ends soon."""
        self._ends_at = time.monotonic() + END_AFTER_S

    def watched(self) -> None:
        """A client looks at flows, so others are likely to follow."""
        self._watched_until = time.monotonic() + WATCHED_S

    def _keep_warm(self) -> None:
        now = time.monotonic()
        if now > self._warm_at and (self.followers or self.captures or now < self._watched_until):
            self._warm_at = now + WARM_S
            self.namer.warm(port.machine for port in self.switch.ports.values())

    def seen(self, port: Port, frame: bytes, receiver: Port | None) -> None:
        """Account for a frame that `port` sent."""
        time_ns = time.time_ns()
        name = receiver.machine if receiver is not None else ""
        flow, is_new = self.flows.add(read_frame(frame), port.machine, name, len(frame), time_ns / 1e9)
        if is_new:
            self.namer.want(flow)
        if is_new or not flow.is_open:
            self.tell(flow)
        for capture in self.captures:
            capture.add(port, time_ns, frame, flow)

    def tell(self, flow: LiveFlow) -> None:
        """Tell followers about a flow that is new, was named or has ended; once each."""
        state = flow.is_named, flow.is_open
        if flow.told == state:
            return
        flow.told = state
        if self.followers:
            line = msgspec.json.encode(flow.to_record()) + b"\n"
            for follower in list(self.followers):
                follower.send(line)

    def status(self) -> NetworkStatus:
        """What clients see of the network."""
        return NetworkStatus(
            name=self.name,
            ports=tuple(port.status() for _, port in sorted(self.switch.ports.items())),
            flows=len(self.flows),
            watchers=len(self.captures) + len(self.followers),
            pid=os.getpid(),
            uptime_s=round(time.time() - self._started, 3),
            cpu_s=round(time.process_time(), 3),
        )


class Capture:
    """A client that gets every frame as pcapng."""

    def __init__(self, connection: Connection, switch: Switch) -> None:
        self._connection = connection
        self._numbers: dict[str, int] = {}
        self._counts: list[list[int]] = []
        connection.write(pcapng.section("glassbox"))
        for _, port in sorted(switch.ports.items()):
            self._number(port)

    def add(self, port: Port, time_ns: int, frame: bytes, flow: LiveFlow) -> None:
        """Send a frame of `port`, or count it as lost where too much waits for the client."""
        number = self._number(port)
        counts = self._counts[number]
        counts[0] += 1
        if self._connection.backlog > WATCHER_BACKLOG_BYTES:
            counts[1] += 1
        else:
            self._connection.write(pcapng.packet(number, time_ns, frame, flow.comment()))

    def finish(self) -> None:
        """Send how many frames each machine sent and how many of them are missing."""
        time_ns = time.time_ns()
        for number, (count, lost) in enumerate(self._counts):
            self._connection.write(pcapng.statistics(number, time_ns, count, lost))

    def _number(self, port: Port) -> int:
        number = self._numbers.get(port.machine)
        if number is None:
            number = self._numbers[port.machine] = len(self._numbers)
            self._counts.append([0, 0])
            self._connection.write(pcapng.interface(port.machine, f"{port.place.address} {port.place.mac}"))
        return number


class Connection(asyncio.BufferedProtocol):
    """One connection: of a machine, or of a client; to the QEMU of `machine` where that is given."""

    def __init__(self, service: Service, machine: str = "") -> None:
        self._service, self._machine = service, machine
        self._refusal = "the network has too many connections; end a client of it"
        self._rest = b""
        self._port: Port | None = None
        self._capture: Capture | None = None
        self._is_asked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first line, not for ever."""
        self._transport = cast(asyncio.Transport, transport)
        service = self._service
        if len(service.connections) >= MOST_MACHINES + MOST_WATCHERS:
            self._transport.abort()
            return
        service.connections.add(self)
        self._timer = asyncio.get_running_loop().call_later(REQUEST_TIME_S, self._transport.abort)
        if self._machine:
            try:
                self._join(self._machine)
            except GlassBoxError as error:
                self._refusal = str(error)
                self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """Forget all of it."""
        service = self._service
        service.connections.discard(self)
        service.followers.discard(self)
        if self._capture is not None:
            service.captures.discard(self._capture)
        if self._port is not None:
            logger.info("machine %s has left", self._port.machine)
            service.switch.leave(self._port)
            service.left()
            service.namer.forget(self._port.machine)
        if hasattr(self, "_timer"):
            self._timer.cancel()

    def eof_received(self) -> bool:
        """A client that captures gets the rest; any other connection is closed."""
        if self._capture is None:
            return False
        self.end()
        return True

    def end(self) -> None:
        """Close the connection once what waits is sent; a capture gets its statistics."""
        if self._capture is not None:
            self._capture.finish()
            self._service.captures.discard(self._capture)
        self._transport.close()

    def get_buffer(self, size: int) -> memoryview:
        """Where the next bytes go: behind what is left of the last ones."""
        buffer = self._service.buffer
        buffer[: len(self._rest)] = self._rest
        return buffer[len(self._rest) :]

    def buffer_updated(self, count: int) -> None:
        """Take what came."""
        data = self._service.buffer[: len(self._rest) + count]
        if self._port is not None:
            try:
                done = self._service.switch.forward(self._port, data, self._service.seen)
            except ValueError as error:
                logger.warning("machine %s sent %s and is disconnected", self._port.machine, error)
                self._transport.abort()
                return
            self._rest = bytes(data[done:])
        elif self._is_asked:
            self._rest = b""
        else:
            self._rest = bytes(data)
            line, end, _ = self._rest.partition(b"\n")
            if end or len(line) > MOST_REQUEST_BYTES:
                self._rest = b""
                self._answer(line)

    @property
    def backlog(self) -> int:
        """Bytes that wait for the other side."""
        return self._transport.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        """Send `data`, or keep it until it can be sent."""
        self._transport.write(data)

    def send(self, line: bytes) -> None:
        """Send a line to a follower; one that is too slow is disconnected."""
        if self.backlog > WATCHER_BACKLOG_BYTES:
            logger.warning("a client that follows does not read and is disconnected")
            self._transport.abort()
        else:
            self.write(line)

    def _answer(self, line: bytes) -> None:
        self._is_asked = True
        self._timer.cancel()
        try:
            request: AnyRequest = msgspec.json.decode(line, type=AnyRequest)
            self._execute(request)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self.refuse(f"not a request ({error}); see docs/protocol.md")
        except GlassBoxError as error:
            self.refuse(str(error))

    def accept(self, link: Connection) -> None:
        """Tell a client that `link` connects its machine, or why it could not."""
        if link._port is None:
            self.refuse(link._refusal)
        else:
            self._line(Accepted(link._port.place))
            self._transport.close()

    def refuse(self, reason: str) -> None:
        """Tell a client that it does not get what it asked for, and close."""
        self._line(Refused(reason))
        self._transport.close()

    def _line(self, record: Record) -> None:
        self.write(msgspec.json.encode(record) + b"\n")

    def _execute(self, request: AnyRequest) -> None:
        service = self._service
        is_watching = isinstance(request, records.Follow | records.Capture)
        if is_watching and len(service.captures) + len(service.followers) >= MOST_WATCHERS:
            self.refuse(f"{MOST_WATCHERS} clients watch the network already; end one of them")
            return
        if isinstance(request, Join):
            if request.socket:
                service.connect(request, self)
            else:
                self._line(Accepted(self._join(request.machine)))
            return
        self._line(Accepted())
        service.watched()
        if isinstance(request, records.Capture):
            self._capture = Capture(self, service.switch)
            service.captures.add(self._capture)
        elif isinstance(request, records.Follow):
            service.followers.add(self)
        else:
            is_status = isinstance(request, records.AskNetwork)
            self._line(service.status() if is_status else self._flows())
            self._transport.close()

    def _join(self, machine: str) -> Place:
        self._timer.cancel()
        self._port = self._service.switch.join(machine, self._transport)
        logger.info("machine %s has joined", machine)
        return self._port.place

    def _flows(self) -> Flows:
        table = self._service.flows
        return Flows(self._service.name, tuple(flow.to_record() for flow in table), table.forgotten)


def listen(name: str) -> socket.socket:
    """A socket that listens for connections to network `name`; the caller holds its lock."""
    path = socket_path(name)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(os.fspath(path))
    listener.listen(MOST_WATCHERS)
    return listener
