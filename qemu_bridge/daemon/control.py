"""The functions behind the operations of cost `Cost.INSTANT`: what the daemon does itself.

`Control` has a method for each such row of the operation table, of the same name and arguments.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import msgspec

from ..errors import GlassBoxError, MachineError, UsageError
from ..host.folders import runtime_folder
from ..host.processes import cpu_seconds, private_bytes
from ..memory.addresses import RamOffset, merge_ranges
from ..memory.sparse import data_bytes
from ..wire.connection import Connection
from ..wire.json_text import encode_json
from ..wire.network_records import Flows
from ..wire.operations import Operation, Operations
from ..wire.records import Answer, Blob, Checkpoint, ExecResult, Fork, Grade, HeatWatch, Runstate, Status, TraceState
from ..wire.trace_records import ArmOptions, LearnedLoop, TraceStatus
from ..wire.view_text import read_parts
from ..wire.viewer_records import ViewerSession, ViewersTold
from .doors import Requester
from .jobs import Jobs
from .served import ServedMachine
from .turns import Turns

CLIENT: ContextVar[Requester] = ContextVar("client")
"""Whose request is being answered."""
_RATE_S = 10.0
"""Seconds over which the rate of epochs is counted."""
_MOST_EPOCHS = 10_000

_WORDS = ("all", "free", "kernel")
"""Targets that are one word, as a symbol is."""


class _Found(msgspec.Struct, frozen=True):
    # The size of a target alone: of its ranges there may be thousands.
    total_bytes: int
    skipped: tuple[str, ...] = ()


class _FoundAnswer(msgspec.Struct, frozen=True):
    value: _Found
    skipped: tuple[str, ...] = ()


class _Byte(msgspec.Struct, frozen=True):
    ram_offset: int


class _PlaceAnswer(msgspec.Struct, frozen=True):
    value: _Byte


class Control:
    """The operations that the daemon executes itself."""

    def __init__(self, machine: ServedMachine, stop: Callable[[], None], jobs: Jobs) -> None:
        """`stop` is called to start shutting the machine down."""
        self._machine = machine
        self._stop = stop
        self._jobs = jobs
        self._dirty_turn, self._checkpoint_turn, self._gdb_turn = asyncio.Lock(), asyncio.Lock(), asyncio.Lock()
        self._qmp_turns, self._exec_turns = Turns(), Turns()
        self._epochs: deque[float] = deque(maxlen=_MOST_EPOCHS)

    async def status(self) -> Status:
        """What the daemon knows of its machine."""
        machine, config, connection = self._machine, self._machine.config, self._machine.connection
        runstate = (await machine.monitor.execute("query-status"))["status"]
        worker, qemu = machine.worker.pid, machine.backend.pid
        own = [os.getpid(), *([] if worker is None else [worker])]
        return Status(
            name=config.name,
            runstate=Runstate(runstate),
            ready=machine.state.ready,
            image=config.image,
            machine=config.machine,
            accelerator=config.accelerator,
            vcpus=config.smp,
            ram_bytes=connection.layout.size,
            touched_bytes=data_bytes(Path(connection.ram_path), connection.layout.size),
            dirty_strategy=machine.dirty_strategy,
            uptime_s=round(time.time() - connection.started_at, 3),
            origin=machine.backend.origin,
            ram=connection.ram_path,
            qemu_pid=qemu or 0,
            daemon_pid=os.getpid(),
            qmp=connection.qmp_path,
            console=connection.console_path,
            cpu_s=None if qemu is None else cpu_seconds(qemu),
            trace=self._trace_state(),
            epoch=machine.epoch,
            epochs_per_s=self._epoch_rate(),
            daemon_cpu_s=round(sum(os.times()[:4]) + (0 if worker is None else cpu_seconds(worker) or 0), 3),
            daemon_bytes=sum(map(private_bytes, own)),
            net=connection.net,
            address=connection.address,
        )

    async def describe(self) -> Connection:
        """The content of the connection file."""
        return self._machine.connection

    def _trace_state(self) -> TraceState:
        if not self._machine.connection.trace_path:
            return TraceState.ABSENT
        try:
            return TraceState[self._machine.trace.control.state.name]
        except GlassBoxError:
            return TraceState.ABSENT

    def _epoch_rate(self) -> float:
        while self._epochs and self._epochs[0] < time.monotonic() - _RATE_S:
            self._epochs.popleft()
        return len(self._epochs) / _RATE_S

    async def pause(self) -> None:
        """Stop the vCPUs."""
        await self._machine.vcpus.pause()

    async def resume(self) -> None:
        """Continue the vCPUs."""
        await self._machine.vcpus.resume()

    async def stop(self) -> None:
        """Start shutting the machine down."""
        self._stop()

    async def wait_ready(self, timeout_s: float) -> None:
        """Return when user space is up."""
        await self._machine.state.wait_ready(timeout_s)

    async def checkpoint(self, tag: str) -> Checkpoint:
        """Take a checkpoint."""
        # Imported here, and below: most machines have none.
        from . import checkpoints

        async with self._checkpoint_turn:
            return await checkpoints.take(self._machine, tag)

    async def checkpoints(self) -> tuple[Checkpoint, ...]:
        """The machine's checkpoints."""
        from ..timeline.checkpoints import list_checkpoints

        return list_checkpoints(self._machine.config.name)

    async def restore(self, tag: str) -> Checkpoint:
        """Bring the machine back to a checkpoint."""
        from . import checkpoints

        async with self._checkpoint_turn:
            return await checkpoints.restore(self._machine, tag)

    async def gdb_server(self) -> str:
        """Where QEMU's gdbstub listens; it is started once, as starting it again would cut a debugger off."""
        path, monitor = runtime_folder() / f"{self._machine.config.name}.gdb", self._machine.monitor
        async with self._gdb_turn:
            served = [row["filename"] for row in await monitor.execute("query-chardev") if row["label"] == "gdb"]
            if served and str(path) not in served[0]:
                raise MachineError(f"QEMU serves gdb at {served[0]} already; connect to that")
            if not served or not path.is_socket():
                device = str(path).replace(",", ",,")
                said = await monitor.hmp(f'gdbserver "unix:{device},server=on,wait=off"')
                if not said.startswith("Waiting for gdb connection"):
                    raise MachineError(f"QEMU serves no gdb: {said.strip()}")
        return str(path)

    async def forget(self, tag: str) -> Checkpoint:
        """Remove a checkpoint."""
        from ..timeline.checkpoints import remove_checkpoint

        async with self._checkpoint_turn:
            return remove_checkpoint(self._machine.config.name, tag)

    async def fork(self, name: str) -> Fork:
        """Start another machine as this one is now."""
        from . import forks

        async with self._checkpoint_turn:
            return await forks.fork(self._machine, name)

    async def qmp(self, command: str, arguments: dict[str, Any] | None) -> Any:  # noqa: ANN401  # QMP's own payload
        """Run a QMP command: `stop`, `savevm`, `migrate` and `quit` have to stop the vCPUs first."""
        client = CLIENT.get()
        async with self._qmp_turns.of(client.client, client), self._machine.bounded_waits():
            return await self._machine.monitor.execute(command, arguments or {})

    async def exec(self, command: str | list[str], timeout_s: float) -> ExecResult:
        """Run a command in the guest, once it is up; a paused guest runs none, which is said at once."""
        if self._machine.state.grade is Grade.PAUSED and self._machine.vcpus.are_paused:
            raise MachineError(f"machine {self._machine.config.name!r} is paused, so it runs nothing; resume it first")
        await self._machine.state.wait_ready(timeout_s)
        client = CLIENT.get()
        try:
            async with self._exec_turns.of(client.client, client, timeout_s):
                ended = await self._machine.shell.run(command, timeout_s)
        except TimeoutError:
            raise MachineError(
                f"earlier commands of this client took {timeout_s:g} s, so this one was not run; wait for them, and ask again"
            ) from None
        return ExecResult(ended.exit_status, Blob(ended.output), Blob(ended.errors), ended.timed_out)

    async def flows(self) -> Flows:
        """What the switch of the machine's network has seen."""
        # Imported here: a machine without a network needs none of it.
        from ..network.watch import read_flows

        net = self._machine.connection.net
        if not net:
            raise UsageError(f"{self._machine.config.name!r} is on no network; start a machine with --net NAME")
        return await asyncio.to_thread(read_flows, net)

    async def dirty(self, epoch: int) -> Answer[tuple[tuple[int, int], ...]]:
        """Pages changed after `epoch`."""
        async with self._dirty_turn:
            pages, now = await asyncio.to_thread(self._machine.dirty_log.since, epoch)
        self._epoch_rate()
        self._epochs.append(time.monotonic())
        return Answer(tuple(merge_ranges(pages.tolist())), self._machine.state.grade, now)

    async def viewers(self) -> tuple[ViewerSession, ...]:
        """The open viewers."""
        return self._machine.viewers.all()

    async def highlight(self, target: str, session: int | None, fly: bool) -> Answer[ViewersTold]:
        """Tell viewers to let a target stand out."""
        sessions = self._machine.viewers.choose(session)
        found = await self._size(target) if target else _Found(0)
        return await self._tell(sessions, found, target=target, fly=fly)

    async def fly_to(self, place: str, view: str, session: int | None) -> Answer[ViewersTold]:
        """Tell viewers to fly to a byte, a target or a view."""
        if bool(place) == bool(view):
            raise UsageError("fly_to goes to a place or to a view; give one of them")
        glow = read_parts(view).get("glow", "")
        sessions = self._machine.viewers.choose(session)
        if view:
            return await self._tell(sessions, await self._size(glow) if glow else _Found(0), view=view)
        byte = await self._byte(place)
        if byte is not None:
            return await self._tell(sessions, _Found(1), place=byte)
        return await self._tell(sessions, await self._size(place), target=place)

    async def viewer_join(self, pid: int) -> int:
        """The session of a new viewer."""
        return self._machine.viewers.join(pid)

    async def viewer_report(self, session: int, view: str, problem: str, done: int) -> None:
        """Keep what a viewer shows."""
        self._machine.viewers.report(session, view, problem, done)

    async def _tell(
        self,
        sessions: tuple[int, ...],
        found: _Found,
        *,
        target: str | None = None,
        place: RamOffset | None = None,
        view: str = "",
        fly: bool = True,
    ) -> Answer[ViewersTold]:
        machine = self._machine
        number = machine.viewers.next_number()
        await machine.events.viewers(number, sessions, target, place, view, fly)
        told = ViewersTold(number, sessions, found.total_bytes)
        return Answer(told, machine.state.grade, machine.epoch, found.skipped)

    async def _size(self, target: str) -> _Found:
        answer = await self._ask(Operations.resolve, target=target)
        found = msgspec.json.decode(answer, type=_FoundAnswer)
        return _Found(found.value.total_bytes, found.skipped)

    async def _byte(self, place: str) -> RamOffset | None:
        """Where the one byte is that `place` means; None where it means a target."""
        if place in _WORDS:
            return None
        try:
            answer = await self._ask(Operations.identify, place=place)
        except UsageError:
            if _is_target(place):
                return None  # what is wrong with it as a target is told, if anything
            raise
        return RamOffset(msgspec.json.decode(answer, type=_PlaceAnswer).value.ram_offset)

    async def _ask(self, operation: Operation[..., Any], **arguments: object) -> bytes:
        """The answer's JSON to a question that the worker answers."""
        machine = self._machine
        return (await machine.worker.ask(operation, encode_json(arguments), machine.state.grade, machine.epoch))[0]

    async def trace_arm(self, options: ArmOptions, reader_pid: int) -> TraceStatus:
        """Open a window of the trace."""
        options.validate()
        _check_reader(reader_pid)
        return await self._machine.trace.arm(options, reader_pid)

    async def trace_disarm(self) -> TraceStatus:
        """Close the window of the trace."""
        return await self._machine.trace.disarm()

    async def trace_status(self) -> TraceStatus:
        """What the plugin does."""
        return self._machine.trace.status()

    async def learned(self) -> tuple[LearnedLoop, ...]:
        """What learned loops have done."""
        return self._machine.trace.control.learned()

    async def heat_watch(self, reader_pid: int) -> HeatWatch:
        """Have heat counted for a watcher."""
        _check_reader(reader_pid)
        watcher = await self._machine.trace.watch_heat(reader_pid)
        return HeatWatch(watcher, str(self._machine.trace.control.path))

    async def heat_unwatch(self, watcher: int) -> None:
        """End a watch."""
        await self._machine.trace.unwatch_heat(watcher)

    async def cancel(self, request: int | str) -> bool:
        """End a job of the client that asks."""
        return self._jobs.cancel((CLIENT.get(), request))


def _is_target(text: str) -> bool:
    """Whether `text` may be a target that is no place: it has a kind, an operator or a part of the kernel."""
    return any(sign in text for sign in ":&( ") or text.startswith("kernel.")


def _check_reader(pid: int) -> None:
    """`UsageError` unless process `pid` is there: the guest would wait for it in vain."""
    if not 0 < pid < 1 << 22 or not Path(f"/proc/{pid}").exists():
        raise UsageError(f"there is no process {pid} to read the trace; give the pid of the reader")
