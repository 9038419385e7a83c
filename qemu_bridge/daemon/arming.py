"""How a running machine's trace is armed and disarmed: the daemon's side of the plugin's control block.

The plugin looks at its command when a vCPU resumes, so after writing one the daemon stops the machine and continues
it, which takes a few milliseconds. While it is paused QEMU's monitor reports what the plugin cannot see: CR3 and the
interrupt descriptor table of every vCPU.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from tcg_plugin.layout import Capability, Feature

from ..errors import GlassBoxError, MachineError
from ..host.tasks import TaskSet
from ..machine.monitor import Monitor
from ..trace.recording.control import TraceControl, is_alive
from ..wire.trace_records import ArmOptions, TraceState, TraceStatus, VcpuRing, capability_names

log = logging.getLogger(__name__)

STOP_WAIT_S = 1.0
"""How long a vCPU may keep waiting for the trace reader when the machine is to pause; after that it drops and counts."""

_READER_S = 1.0
_ANSWER_S = 5.0
_SILENT = (
    "the plugin does not answer: with -icount, or one thread for all vCPUs, it cannot be reached while the guest runs;"
    " arm that machine before it starts"
)
_CR3 = re.compile(r"\bCR3=([0-9a-f]+)")
_IDT = re.compile(r"\bIDT=\s*([0-9a-f]+) ([0-9a-f]+)")


class TraceArming:
    """Arms one machine's trace. One change at a time; `status` may be called at any time."""

    def __init__(
        self,
        path: Path,
        monitor: Monitor,
        vcpus_held: Callable[[], AbstractAsyncContextManager[bool]],
    ) -> None:
        """Map the shared file at `path`; in the context `vcpus_held` no vCPU runs, and it yields whether they ran before."""
        self.control = TraceControl(path)
        self._monitor = monitor
        self._vcpus_held = vcpus_held
        self._turn = asyncio.Lock()
        self._tasks = TaskSet()
        self._watchers: dict[int, int] = {}
        self._last_watcher = 0

    async def arm(self, options: ArmOptions, reader_pid: int) -> TraceStatus:
        """Open a window; its `status`. `state` is still ``disarmed`` in a paused machine: the window opens on resume.

        Raises `UsageError` for invalid options, `MachineError` when a window is open already or QEMU cannot.
        """
        async with self._turn:
            async with self._vcpus_held() as was_running:
                await self._write_initial_state()
                self.control.want(options, reader_pid)
            if was_running and not await self._is_answered():
                self.control.disarm()
                raise MachineError(_SILENT)
            if self.control.error and self.control.is_acknowledged:
                raise MachineError(self.control.error)
            if not options.features & Feature.BLOCKS:
                watch = self._disarm_after(reader_pid, int(self.control.block.generation))
                self._tasks.start(watch, "heat-watch")
            return self.status()

    async def disarm(self) -> TraceStatus:
        """Close the window, if one is open; its `status` once no vCPU records any more."""
        async with self._turn:
            if self.control.is_armed or not self.control.is_acknowledged:
                async with self._vcpus_held() as was_running:
                    self.control.disarm()
                if was_running and not await self._is_answered():
                    raise MachineError(_SILENT)
            return self.status()

    async def watch_heat(self, reader_pid: int) -> int:
        """Count heat for a watcher in process `reader_pid`, beside any window; its number, for `unwatch_heat`.

        Raises `MachineError` when the plugin cannot be reached.
        """
        self.control.validate_plugin()
        async with self._turn:
            self._last_watcher += 1
            self._watchers[self._last_watcher] = reader_pid
            try:
                await self._settle_heat()
            except GlassBoxError:
                self._watchers.clear()
                self.control.want_heat(False)
                raise
            return self._last_watcher

    async def unwatch_heat(self, watcher: int) -> None:
        """Stop counting heat for `watcher`; an unknown watcher is ignored."""
        async with self._turn:
            if self._watchers.pop(watcher, None) is not None:
                await self._settle_heat()

    async def _settle_heat(self) -> None:
        is_wanted = bool(self._watchers)
        if is_wanted == bool(self.control.block.heat_wanted):
            return
        async with self._vcpus_held() as was_running:
            if is_wanted:
                await self._write_initial_state()
            self.control.want_heat(is_wanted)
        if was_running and not await self._is_answered(lambda: self.control.is_heat_settled):
            raise MachineError(_SILENT)
        if is_wanted:
            self._tasks.start(self._unwatch_the_dead(), "heat-watchers")

    async def _unwatch_the_dead(self) -> None:
        while self._watchers:
            await asyncio.sleep(_READER_S)
            for watcher, pid in list(self._watchers.items()):
                if not is_alive(pid):
                    log.info("process %d, which watched the heat, has ended", pid)
                    with contextlib.suppress(GlassBoxError):
                        await self.unwatch_heat(watcher)

    async def _disarm_after(self, reader_pid: int, generation: int) -> None:
        """Close the window of `generation` when its reader has died: a vCPU that uses no ring would not notice."""
        while self.control.block.generation == generation:
            await asyncio.sleep(_READER_S)
            if self.control.block.generation == generation and not is_alive(reader_pid):
                log.info("process %d, which watched the heat, has ended: disarming", reader_pid)
                with contextlib.suppress(GlassBoxError):
                    await self.disarm()
                return

    def status(self) -> TraceStatus:
        """What the plugin does, what is recorded, and what each vCPU's ring has seen."""
        block = self.control.block
        return TraceStatus(
            state=TraceState[self.control.state.name],
            acknowledged=self.control.is_acknowledged,
            error=self.control.error,
            path=str(self.control.path),
            plugin_api=block.plugin_api,
            capabilities=capability_names(Capability(block.capabilities)),
            window=block.window,
            mode=block.mode,
            features=block.features,
            heat=bool(block.heat_on),
            reader_pid=block.reader_pid,
            ids=block.id_count,
            translations=block.translations,
            vcpus=tuple(
                VcpuRing(
                    published_chunks=header.head,
                    read_chunks=header.tail,
                    waits=header.waits,
                    wait_s=header.wait_ns / 1e9,
                    lost_chunks=header.lost_chunks,
                    lost_words=header.lost_words,
                )
                for header in self.control.vcpus
            ),
        )

    async def stop_vcpus(self) -> None:
        """QMP ``stop``, even while a vCPU waits for a trace reader that has stalled."""
        async with self.bounded_waits():
            await self._monitor.execute("stop")

    @contextlib.asynccontextmanager
    async def bounded_waits(self) -> AsyncIterator[None]:
        """A context in which no vCPU waits for the reader longer than `STOP_WAIT_S`."""

        def stop_waiting() -> None:
            self.control.block.abandon = 1

        timer = asyncio.get_running_loop().call_later(STOP_WAIT_S, stop_waiting)
        try:
            yield
        finally:
            timer.cancel()
            self.control.block.abandon = 0

    async def _write_initial_state(self) -> None:
        text = await self._monitor.hmp("info registers -a")
        places = [
            (int(root, 16), int(base, 16), int(limit, 16))
            for root, (base, limit) in zip(_CR3.findall(text), _IDT.findall(text), strict=True)
        ]
        for vcpu, (root, base, limit) in enumerate(places[: len(self.control.vcpus)]):
            self.control.set_initial_state(vcpu, root, base, limit)

    async def _is_answered(self, is_done: Callable[[], bool] | None = None) -> bool:
        is_done = is_done or (lambda: self.control.is_acknowledged)
        deadline = asyncio.get_running_loop().time() + _ANSWER_S
        while not is_done() and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.001)
        return is_done()
