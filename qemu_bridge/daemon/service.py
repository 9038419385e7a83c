"""The service of one machine: what the daemon answers, and what it tells everybody.

Two sockets, both ``ipc://`` in the runtime folder (docs/protocol.md):

* control (ROUTER): a request, a reply to whoever asked;
* events (XPUB): what changed, to everybody; a new subscriber first gets the present state.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zmq
import zmq.asyncio
from zmq.utils.monitor import recv_monitor_message

from ..errors import GlassBoxError, MachineError, UsageError
from ..host.tasks import TaskSet
from ..introspection.questions import SemanticWorker
from ..machine.config import RAM_BACKEND, MachineConfig
from ..memory.addresses import merge_ranges, parse_mtree
from ..wire import connection
from ..wire.connection import Connection
from ..wire.records import to_json
from .backends.started import Origin

if TYPE_CHECKING:
    from ..memory.dirty import DirtyLog
    from ..memory.ram import GuestRam
    from .arming import TraceArming

logger = logging.getLogger(__name__)

READY_LINE = b"glassbox: ready"
_CONSOLE_POLL_S, _CONSOLE_IDLE_S = 0.005, 0.5
CONSOLE_LIMIT = 64 << 20
"""Bytes of console log; the guest decides how fast it grows, so it starts over when it is full."""

STILL = ("image", "capture")
"""Origins without vCPUs."""
CAPTURE_IDLE_S = 20.0
"""How long the daemon of a capture waits for somebody to look at it again."""

Reply = tuple[dict[str, Any], list[bytes]]


class Service:
    """Composes QMP, agent, RAM and semantic worker, and serves the two sockets."""

    def __init__(self, config: MachineConfig, origin: Origin, found: Connection) -> None:
        self._config = config
        self._origin = origin
        self._connection = found
        self._shell = origin.shell()
        self._dirty_turn = asyncio.Lock()
        self._worker = SemanticWorker(
            Path(found.ram_path), found.layout, Path(found.page_map_path), _own_symbols(origin, found)
        )
        self._tasks = TaskSet()
        self._stopping = asyncio.Event()
        self._runstate = "running"
        self._runs = asyncio.Event()
        # Only an init of ours says when user space is up; of a guest that was there before us nobody knows better.
        self._ready = origin.kind != "started"
        self._exit_reason = ""
        self._hushed = 0
        self._verbs: dict[str, Callable[..., Awaitable[Reply]]] = {
            "status": self._status,
            "pause": self._pause,
            "resume": self._resume,
            "stop": self._stop,
            "qmp": self._qmp,
            "exec": self._exec,
            "wait_ready": self._wait_ready,
            "dirty": self._dirty_pages,
            "ps": self._ask("ps"),
            "maps": self._ask("maps"),
            "modules": self._ask("modules"),
            "overlay": self._ask("overlay"),
            "sym": self._ask("sym"),
            "kernel": self._ask("kernel"),
            "type": self._ask("type"),
            "types": self._ask("types"),
            "page_map": self._ask_of_now("page_map"),
            "whose": self._ask_of_now("whose"),
            "where": self._ask_of_now("where"),
            "targets": self._ask_of_now("targets"),
            "trace_arm": self._trace_arm,
            "trace_disarm": self._trace_disarm,
            "heat_watch": self._heat_watch,
            "heat_unwatch": self._heat_unwatch,
            "trace_status": self._trace_status,
        }

    async def run(self, on_running: Callable[[Connection], None]) -> None:
        """Serve until the machine ends or somebody asks to stop. `on_running` is called once it answers."""
        context = zmq.asyncio.Context()
        self._control = context.socket(zmq.ROUTER)
        self._events = context.socket(zmq.XPUB)
        self._events.setsockopt(zmq.XPUB_VERBOSE, 1)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        try:
            self._control.bind(self._connection.control)
            self._events.bind(self._connection.events)
            async with self._origin.connect(self._config.name) as self._monitor:
                await self._check_layout()
                self._set_runstate(_runstate(await self._monitor.execute("query-status")))
                self._start_serving()
                on_running(self._connection)
                ended = self._tasks.start(self._origin.wait(), "ended")
                stopping = self._tasks.start(self._stopping.wait(), "stopping")
                await asyncio.wait([ended, stopping], return_when=asyncio.FIRST_COMPLETED)
                if not ended.done():
                    async with self._patient():
                        await self._origin.end(self._monitor)
        finally:
            self._worker.restart()
        self._exit_reason = self._origin.describe_exit(asked=self._stopping.is_set())
        connection.write_exit(self._config.name, self._exit_reason)
        await self._publish("exited", reason=self._exit_reason, status=self._origin.exit_status)
        await self._tasks.cancel_all()
        context.destroy(linger=200)

    def _start_serving(self) -> None:
        self._tasks.start(self._relay_events(), "events")
        self._tasks.start(self._welcome_subscribers(), "subscribers")
        self._tasks.start(self._serve(), "control")
        if self._origin.kind == "started":
            self._tasks.start(self._watch_console(), "console")
        if self._origin.kind == "capture":
            self._tasks.start(self._end_when_nobody_looks(), "clients")

    # --- QEMU --------------------------------------------------------------------------------------------

    async def _check_layout(self) -> None:
        # The map of RAM is what QEMU says it is; our rule for it must agree, or every address would be wrong. Of a
        # machine that was attached to, QEMU's word is all there is (attach.inspect).
        if self._origin.kind != "started":
            return
        told = parse_mtree(await self._monitor.hmp("info mtree -f"), RAM_BACKEND)
        if told != self._connection.layout:
            raise MachineError(
                f"QEMU lays out RAM as {told.regions}, expected {self._connection.layout.regions}; use machine type pc or q35"
            )

    async def _relay_events(self) -> None:
        async for event in self._monitor.events():
            name = str(event["event"])
            if name in ("STOP", "RESUME") and self._hushed:
                self._hushed -= 1
                continue
            if name in ("STOP", "RESUME"):
                self._set_runstate("paused" if name == "STOP" else "running")
                await self._publish("runstate", runstate=self._runstate)
            elif name == "RESET":
                self._worker.restart()
                self._shell.forget()
                self._ready = self._origin.kind != "started"
            await self._publish("qmp", name=name, data=event.get("data", {}))

    def _set_runstate(self, runstate: str) -> None:
        self._runstate = runstate
        (self._runs.set if runstate == "running" else self._runs.clear)()

    async def _watch_console(self) -> None:
        # The guest's init says in one line when user space is up, after every boot.
        tail, since = b"", time.monotonic()
        with open(self._connection.console_path, "rb") as console:
            while True:
                if console.tell() > CONSOLE_LIMIT:
                    os.truncate(self._connection.console_path, 0)
                    console.seek(0)
                tail = tail[-len(READY_LINE) :] + console.read(CONSOLE_LIMIT)
                if READY_LINE in tail:
                    tail, self._ready = b"", True
                    await self._publish("ready")
                await self._runs.wait()  # a guest that stands still says nothing
                # Often while a boot may end any moment, less and less while nothing comes.
                if self._ready:
                    since = time.monotonic()
                waited = time.monotonic() - since
                await asyncio.sleep(
                    _CONSOLE_IDLE_S if self._ready else min(max(_CONSOLE_POLL_S, waited / 100), _CONSOLE_IDLE_S)
                )

    # NumPy is loaded by the first question that needs it, not while the guest boots and wants the processor.

    @cached_property
    def _ram(self) -> GuestRam:
        from ..memory.ram import GuestRam

        return GuestRam(Path(self._connection.ram_path), self._connection.layout)

    @cached_property
    def _dirty_log(self) -> DirtyLog:
        from ..memory.dirty import DirtyLog, choose_strategy

        return DirtyLog(choose_strategy(self._ram, self._origin.pid), self._ram.page_count)

    async def _end_when_nobody_looks(self) -> None:
        # A capture is opened by whoever names it, and nobody ever stops it: it goes when its clients have gone. The kernel
        # closes the socket of one that was killed, so none is forgotten.
        connected = 0
        with self._control.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED) as monitor:
            while connected or await monitor.poll(int(CAPTURE_IDLE_S * 1e3)):
                event = await recv_monitor_message(monitor)
                connected += 1 if event["event"] == zmq.EVENT_ACCEPTED else -1
        self._stopping.set()

    @cached_property
    def _trace(self) -> TraceArming:
        from .arming import TraceArming

        path = self._connection.trace_path
        if not path:
            reason = self._connection.no_trace or "Glass Box did not start that QEMU; start the machine with it"
            raise MachineError(f"machine {self._config.name!r} has no plugin that traces: {reason}")

        def suppress_runstate_events() -> None:
            self._hushed += 2

        return TraceArming(Path(path), self._monitor, lambda: self._runstate == "running", suppress_runstate_events)

    # --- sockets -----------------------------------------------------------------------------------------

    async def _publish(self, event: str, **fields: Any) -> None:  # noqa: ANN401  # JSON values
        message = {"event": event, "machine": self._config.name, "time": time.time(), **fields}
        await self._events.send_multipart([event.encode(), json.dumps(message).encode()])

    async def _welcome_subscribers(self) -> None:
        while True:
            message = await self._events.recv()
            if message[:1] == b"\x01":
                await self._publish("runstate", runstate=self._runstate, ready=self._ready)

    async def _serve(self) -> None:
        while True:
            identity, *frames = await self._control.recv_multipart()
            self._tasks.start(self._answer(identity, frames), "request")

    async def _answer(self, identity: bytes, frames: list[bytes]) -> None:
        number: Any = None
        buffers: list[bytes] = []
        try:
            request = json.loads(frames[0])
            number = request["id"]
            verb = self._verbs.get(request["verb"])
            if verb is None:
                raise UsageError(f"the daemon knows no verb {request['verb']!r}; it knows {', '.join(self._verbs)}")
            result, buffers = await verb(**request.get("arguments", {}))
            reply: dict[str, Any] = {"id": number, "ok": True, "result": result}
        except GlassBoxError as error:
            reply = {"id": number, "ok": False, "error": {"kind": type(error).__name__, "message": str(error)}}
        except (ValueError, KeyError, TypeError, IndexError) as error:
            sentence = f"the request cannot be understood ({error}); see docs/protocol.md"
            reply = {"id": number, "ok": False, "error": {"kind": "UsageError", "message": sentence}}
        except Exception as error:
            # Whoever asks is answered, whatever went wrong.
            logger.exception("request failed")
            sentence = f"the daemon failed ({type(error).__name__}: {error}); see {self._connection.log_path}"
            reply = {"id": number, "ok": False, "error": {"kind": "MachineError", "message": sentence}}
        await self._control.send_multipart([identity, json.dumps(reply).encode(), *buffers])

    # --- verbs -------------------------------------------------------------------------------------------

    async def _status(self) -> Reply:
        state = await self._monitor.execute("query-status")
        touched = int(self._ram.resident_pages().sum())
        return {
            "name": self._config.name,
            "runstate": state["status"],
            "ready": self._ready,
            "image": self._config.image,
            "machine": self._config.machine,
            "accelerator": self._config.accelerator,
            "vcpus": self._config.smp,
            "ram_bytes": self._ram.size,
            "touched_bytes": touched << 12,
            "dirty_strategy": self._dirty_log.strategy.name,
            "uptime_s": round(time.time() - self._connection.started_at, 3),
            "origin": self._origin.kind,
            "ram": self._connection.ram_path,
            "qemu_pid": self._origin.pid or 0,
            "daemon_pid": os.getpid(),
            "qmp": self._connection.qmp_path,
            "console": self._connection.console_path,
        }, []

    async def _pause(self) -> Reply:
        if self._connection.trace_path:
            await self._trace.stop_vcpus()
        else:
            await self._monitor.execute("stop")
        return {}, []

    async def _resume(self) -> Reply:
        await self._monitor.execute("cont")
        return {}, []

    async def _stop(self) -> Reply:
        self._stopping.set()
        return {}, []

    def _patient(self) -> contextlib.AbstractAsyncContextManager[None]:
        return self._trace.patient() if self._connection.trace_path else contextlib.nullcontext()

    async def _qmp(self, command: str, arguments: dict[str, Any]) -> Reply:
        # Whatever QEMU does, it may have to stop the vCPUs first: `stop`, `savevm`, `migrate`, `quit`.
        async with self._patient():
            return {"return": await self._monitor.execute(command, arguments)}, []

    async def _exec(self, command: str | list[str], timeout_s: float) -> Reply:
        await self._wait_ready(timeout_s)
        output, status = await self._shell.run(command, timeout_s)
        return {"exit_status": status}, [output]

    async def _wait_ready(self, timeout_s: float) -> Reply:
        deadline = time.monotonic() + timeout_s
        while not self._ready:
            if time.monotonic() > deadline:
                raise MachineError(
                    f"the guest was not up within {timeout_s:g} s; see 'glassbox console {self._config.name}'"
                )
            await asyncio.sleep(0.01)
        return {}, []

    async def _trace_arm(self, options: dict[str, Any], reader_pid: int) -> Reply:
        from ..trace.recording.control import ArmOptions

        return to_json(await self._trace.arm(ArmOptions.from_json(options), int(reader_pid))), []

    async def _trace_disarm(self) -> Reply:
        return to_json(await self._trace.disarm()), []

    async def _heat_watch(self, reader_pid: int) -> Reply:
        watcher = await self._trace.watch_heat(int(reader_pid))
        return {"watcher": watcher, "path": str(self._trace.control.path)}, []

    async def _heat_unwatch(self, watcher: int) -> Reply:
        await self._trace.unwatch_heat(int(watcher))
        return {}, []

    async def _trace_status(self) -> Reply:
        return to_json(self._trace.status()), []

    async def _dirty_pages(self, epoch: int) -> Reply:
        async with self._dirty_turn:
            pages, now = await asyncio.to_thread(self._dirty_log.since, epoch)
        return {"epoch": now, "runs": merge_ranges(pages.tolist())}, []

    def _ask(self, question: str) -> Callable[..., Awaitable[Reply]]:
        async def ask(**arguments: Any) -> Reply:  # noqa: ANN401  # JSON values
            return await self._worker.ask(question, **arguments), []

        return ask

    def _ask_of_now(self, question: str) -> Callable[..., Awaitable[Reply]]:
        """Asks what depends on whether the guest stands still."""

        async def ask(**arguments: Any) -> Reply:  # noqa: ANN401  # JSON values
            grade = "snapshot" if self._origin.kind in STILL else "paused" if self._runstate == "paused" else "live"
            return await self._worker.ask(question, **arguments | {"grade": grade}), []

        return ask


def _own_symbols(origin: Origin, found: Connection) -> Path | None:
    """The symbols that a capture brings; None for what uses the cache that all machines share."""
    return Path(found.ram_path).parent / "symbols" if origin.kind == "capture" else None


def _runstate(answer: dict[str, Any]) -> str:
    return "running" if answer.get("running") else "paused"
