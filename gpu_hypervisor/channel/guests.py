"""The guests of this host that have a share of a GPU: found by their connection files, served on the sockets of their QEMUs.

>>> with Hypervisor(device="cpu") as hypervisor, Guests(hypervisor):
...     ...  # guests that run, and those that are started meanwhile, submit kernels
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from pathlib import Path
from types import TracebackType

from qemu_bridge.client import AsyncClient, Client
from qemu_bridge.errors import GlassBoxError
from qemu_bridge.host.tasks import TaskSet
from qemu_bridge.machine.gpu import CHARDEV, PORT
from qemu_bridge.wire.connection import Connection, iter_connections, runtime_folder
from qemu_bridge.wire.event_records import QmpEvent

from ..engine import Hypervisor, Submitter
from .aperture import Aperture
from .frames import Decoder, Frame, Malformed, encode_frame
from .messages import Command
from .processes import GuestProcesses
from .session import GuestSessions

logger = logging.getLogger(__name__)

LOOK_S = 0.2
"""How often the folder of connection files is looked at, which is one call of the kernel while it does not change."""
RETRY_S = 2.0
"""After this a guest that could not be served is tried again."""
NAME_S = 0.05
"""Between two questions who has the port."""
QUEUE_JOBS = 64
_READ_BYTES = 1 << 16
_MOST_TASKS = 2 * QUEUE_JOBS


class Guests:
    """Serves all guests in a thread of its own, as a context or between `start` and `close`."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        self._hypervisor = hypervisor
        self._served: set[tuple[str, float]] = set()
        self._seen = -1
        self._tasks: TaskSet
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Event
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="guests", daemon=True)

    def __enter__(self) -> Guests:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Begin to serve; returns at once."""
        self._thread.start()
        self._started.wait()

    def close(self) -> None:
        """Let all guests go; their jobs are cancelled, and their ports have no other end until the next server."""
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    @property
    def served(self) -> list[str]:
        """Names of the guests that are served now, sorted."""
        found = {name for name, _ in list(self._served)}
        return sorted(tenant.name for tenant in self._hypervisor.tenants() if tenant.name in found)

    async def _run(self) -> None:
        self._tasks, self._loop, self._stopping = TaskSet(), asyncio.get_running_loop(), asyncio.Event()
        self._started.set()
        while not self._stopping.is_set():
            now = runtime_folder().stat().st_mtime_ns
            if now != self._seen:
                self._seen = now
                self._look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._stopping.wait()
        await self._tasks.cancel_all()

    def _look(self) -> None:
        """Serve guests that are new."""
        for found in iter_connections():
            key = (found.name, found.started_at)
            if found.gpu_port and found.state == "running" and key not in self._served:
                self._served.add(key)
                self._tasks.start(self._serve(found, key), f"guest {found.name}")

    async def _serve(self, connection: Connection, key: tuple[str, float]) -> None:
        try:
            await serve_guest(self._hypervisor, connection)
            logger.info("guest %s has gone", connection.name)
        except (GlassBoxError, OSError) as error:
            logger.warning("guest %s is not served: %s", connection.name, error)
            await asyncio.sleep(RETRY_S)
        finally:
            self._served.discard(key)
            self._seen = -1


async def serve_guest(hypervisor: Hypervisor, connection: Connection) -> None:
    """Serve one guest until its QEMU ends; what it had is given up then.

    Raises `OSError` where its QEMU or its aperture cannot be reached, and what `Hypervisor.open_tenant` raises.
    """
    reader, writer = await asyncio.open_unix_connection(connection.gpu_port, limit=_READ_BYTES)
    path, tasks = Path(connection.aperture_path), TaskSet()
    with contextlib.closing(writer), Aperture(path, path.stat().st_size, connection.gpu_memory) as aperture:
        with Client(connection) as client:
            tenant = await asyncio.to_thread(
                hypervisor.open_tenant,
                connection.name,
                weight=connection.gpu_weight,
                memory_bytes=connection.gpu_memory,
                queue_jobs=QUEUE_JOBS,
            )
            try:
                aperture.region = await asyncio.to_thread(
                    tenant.adopt, aperture.descriptor, aperture.size, is_trusted=True
                )
                sessions = GuestSessions(
                    tenant, aperture, GuestProcesses(client), hypervisor.stats().device, QUEUE_JOBS
                )
                tasks.start(_watch_port(connection, sessions), "port")
                tasks.start(_name_processes(client, sessions), "processes")
                logger.info("guest %s is served", connection.name)
                await _converse(reader, writer, sessions)
            finally:
                await tasks.cancel_all()
                await asyncio.shield(asyncio.to_thread(tenant.close))


async def _watch_port(connection: Connection, sessions: GuestSessions) -> None:
    """End a session when the process that had the port closed it, or was killed: its jobs run for nobody."""
    async with AsyncClient(connection) as client:
        async for event in client.events():
            if not isinstance(event, QmpEvent) or event.name != "VSERPORT_CHANGE" or event.data.get("id") != PORT:
                continue
            # The event may be late, and another process have the port by now: QEMU says what is the case.
            session = sessions.session
            devices = {device["label"]: device for device in await client.qmp("query-chardev")}
            if not devices[CHARDEV]["frontend-open"] and sessions.session == session:
                sessions.end_session()


async def _name_processes(client: Client, sessions: GuestSessions) -> None:
    """Note of each session which processes of the guest have the port, as its RAM says; beside the jobs, which wait for nothing.

    Where sessions come faster, some are left without: their jobs have the name that the guest gives.
    """
    while True:
        await sessions.begun.wait()
        sessions.begun.clear()
        origin = sessions.origin
        with contextlib.suppress(GlassBoxError):
            found = await asyncio.to_thread(client.overlay, "gpu-port")
            if origin.is_open:  # nobody else has opened the port meanwhile
                rows = {row["pid"]: row["name"] for row in found.value.rows}
                origin.processes = tuple(Submitter(pid, name) for pid, name in rows.items())
        await asyncio.sleep(NAME_S)


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sessions: GuestSessions) -> None:
    """Answer what comes on a guest's port until it ends. A guest that does not read its replies is not read from."""
    decoder, tasks = Decoder(), TaskSet()
    waiting: set[asyncio.Task[None]] = set()

    async def answer(frame: Frame | Malformed) -> None:
        reply = await sessions.answer(frame)
        writer.write(encode_frame(reply))
        await writer.drain()

    try:
        while data := await reader.read(_READ_BYTES):
            for frame in decoder.feed(data):
                if isinstance(frame, Frame) and frame.command == Command.WAIT:
                    while len(waiting) >= _MOST_TASKS:
                        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                    task = tasks.start(answer(frame), "wait")
                    waiting.add(task)
                    task.add_done_callback(waiting.discard)
                else:
                    await answer(frame)
                # Other guests have their turn, however much of this one's is there already.
                await asyncio.sleep(0)
    except ConnectionError:
        pass  # its QEMU has ended
    finally:
        await tasks.cancel_all()
        sessions.end_session()
