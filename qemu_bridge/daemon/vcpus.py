"""Stops and continues the vCPUs of one machine: for clients, and for work of the daemon that needs the guest stopped.

Such work *holds* the vCPUs. While anything holds them none runs, whatever clients ask meanwhile; when the last hold ends they
run again, unless the guest was paused before or a client paused it since.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from ..errors import MachineError
from .state import MachineState


class Runner(Protocol):
    """What runs the vCPUs: QEMU, behind its monitor."""

    async def is_running(self) -> bool:
        """Whether they run."""

    async def stop(self) -> None:
        """Stop them; done on return."""

    async def cont(self) -> None:
        """Continue them."""


class Vcpus:
    """The vCPUs of one machine."""

    def __init__(self, runner: Runner, state: MachineState, announce: Callable[[], Awaitable[None]]) -> None:
        """`announce` publishes the runstate of `state` where QEMU sends no event for a change."""
        self._runner = runner
        self._state = state
        self._announce = announce
        self._turn = asyncio.Lock()
        self._holds = 0
        self._is_wanted = True
        """Whether they are to run when nothing holds them."""
        self._is_stopped_quietly = False

    @property
    def are_paused(self) -> bool:
        """Whether they stand still until a client resumes them, and not only while work of the daemon holds them."""
        return not (self._is_wanted if self._holds else self._state.is_running)

    async def pause(self) -> None:
        """Stop the vCPUs until `resume`."""
        async with self._turn:
            self._is_wanted = False
            if not self._holds:
                await self._runner.stop()
            elif self._is_stopped_quietly:
                # Clients believe that the guest runs, and no further STOP will come.
                self._is_stopped_quietly = False
                self._state.set_running(False)
                await self._announce()

    async def resume(self) -> None:
        """Continue the vCPUs, or let them continue when the last hold ends."""
        async with self._turn:
            self._is_wanted = True
            if not self._holds:
                await self._runner.cont()

    @contextlib.asynccontextmanager
    async def held(self, *, quietly: bool = False) -> AsyncIterator[bool]:
        """A context in which no vCPU runs; yields whether they ran before. `quietly` sends no events about it."""
        was_running = await self._hold(quietly)
        try:
            yield was_running
        finally:
            await self._release()

    async def _hold(self, quietly: bool) -> bool:
        async with self._turn:
            if not self._holds:
                self._is_wanted = await self._runner.is_running()
                if self._is_wanted:
                    await self._change(self._runner.stop, quietly)
                    self._is_stopped_quietly = quietly
            self._holds += 1
            return self._is_wanted

    async def _release(self) -> None:
        async with self._turn:
            self._holds -= 1
            if self._holds:
                return
            is_quiet, self._is_stopped_quietly = self._is_stopped_quietly, False
            if self._is_wanted:
                # A QEMU that has ended needs no continuing.
                with contextlib.suppress(MachineError):
                    await self._change(self._runner.cont, is_quiet)

    async def _change(self, request: Callable[[], Awaitable[None]], quietly: bool) -> None:
        self._state.suppress_runstate_events(int(quietly))
        try:
            await request()
        except BaseException:
            # No event comes of it.
            self._state.suppress_runstate_events(-int(quietly))
            raise
