"""Jobs: operations that take seconds or minutes, each in a process of its own that the daemon watches.

The daemon pauses the guest for a job and resumes it, whatever happens to the job's process or to the client.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from .. import errors
from ..errors import JobCancelledError, MachineError, MachineGoneError
from ..host.job import JobMessage, JobRequest
from ..wire.operations import Operation
from .served import ServedMachine
from .worker import end, finish

logger = logging.getLogger(__name__)

MOST_JOBS = 4
_LINE_LIMIT = 64 << 20
_END_TIME_S = 5.0
"""Seconds that jobs have to end in when the machine does."""

Progress = Callable[[int, int], Awaitable[None]]


class Jobs:
    """The running jobs of one machine."""

    def __init__(self, machine: ServedMachine) -> None:
        self._machine = machine
        self._running: dict[object, asyncio.subprocess.Process | None] = {}
        """By key; None while the process is being started."""
        self._cancelled: set[object] = set()
        self._count = 0
        self._is_closed = False

    async def run(self, operation: Operation[..., Any], arguments: bytes, key: object, progress: Progress) -> bytes:
        """Run a job and return its result as JSON; `key` identifies it to `cancel`.

        Raises the error that the job reports, `JobCancelledError` when it was cancelled, `MachineError` when its process dies
        or too many jobs are running.
        """
        if self._count >= MOST_JOBS:
            raise MachineError(f"{MOST_JOBS} jobs of this machine are running already; wait for one to end")
        self._count += 1
        self._running[key] = None
        try:
            process = self._running[key] = await self._start(operation)
            try:
                if self._is_closed:
                    raise MachineGoneError(f"the machine ended before {operation.name} began")
                if key in self._cancelled:
                    raise JobCancelledError(f"{operation.name} was cancelled before it began")
                return await self._watch(operation.name, process, arguments, progress, key)
            finally:
                end(process)
                await finish(process)
        finally:
            self._running.pop(key, None)
            self._cancelled.discard(key)
            self._count -= 1

    def cancel(self, key: object) -> bool:
        """Interrupt the job that `key` identifies, as Ctrl-C would; False if there is none."""
        if key not in self._running:
            return False
        self._cancelled.add(key)
        if (process := self._running[key]) is not None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        return True

    async def close(self) -> None:
        """End what still runs, and start no more: a job may finish its file first, but not for long."""
        self._is_closed = True
        for process in filter(None, self._running.values()):
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        await self._wait()
        for process in filter(None, self._running.values()):
            end(process)
        await self._wait()

    async def _wait(self) -> None:
        deadline = asyncio.get_running_loop().time() + _END_TIME_S
        while self._count and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)

    async def _start(self, operation: Operation[..., Any]) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        command = [sys.executable, "-m", operation.program, "job", operation.name]
        return await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=_LINE_LIMIT)

    async def _watch(
        self, name: str, process: asyncio.subprocess.Process, arguments: bytes, progress: Progress, key: object
    ) -> bytes:
        assert process.stdin is not None and process.stdout is not None
        request = JobRequest(self._machine.config.name, msgspec.Raw(arguments), os.getpid())
        process.stdin.write(msgspec.json.encode(request) + b"\n")
        draft = ""
        async with contextlib.AsyncExitStack() as hold:
            try:
                while line := await process.stdout.readline():
                    message = msgspec.json.decode(line, type=JobMessage)
                    if message.ok is not None:
                        draft = ""  # the job has removed or renamed it
                        return _result(message)
                    if message.progress is not None:
                        await progress(*message.progress)
                    elif message.draft:
                        draft = message.draft
                    elif message.ask:
                        await hold.aclose()
                        was_running = message.ask == "pause" and await hold.enter_async_context(
                            self._machine.vcpus.held()
                        )
                        process.stdin.write(b"true\n" if was_running else b"false\n")
            finally:
                if draft:
                    await asyncio.to_thread(_remove, Path(draft))
        if key in self._cancelled:  # before it could say so itself
            raise JobCancelledError(f"{name} was cancelled; its files were removed")
        raise MachineError(f"the process of job {name} was killed; run it again")


def _result(message: JobMessage) -> bytes:
    if message.ok:
        return bytes(message.result)
    raise getattr(errors, message.kind, MachineError)(message.message)


def _remove(draft: Path) -> None:
    """Remove the file or folder that a killed job was writing."""
    if draft.is_dir() and not draft.is_symlink():
        shutil.rmtree(draft, ignore_errors=True)
    else:
        draft.unlink(missing_ok=True)
