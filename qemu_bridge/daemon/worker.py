"""Client of the process that reads guest RAM (`worker_process`), so that a slow or hostile guest never blocks the control socket.

The first question starts it. After some idle time it ends, and its memory with it; the next question starts another, which finds
the symbols in their cache and the kernel where it was.

A question that exceeds its time budget is answered with an error and the process is replaced, and so is one that crashes.
They share only pipes, so a killed daemon leaves no worker behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from .. import errors
from ..errors import MachineError, MachineGoneError
from ..memory.addresses import RamLayout
from ..wire.operations import Operation
from ..wire.records import Grade
from .turns import Reader, Turns
from .worker_process import LENGTH, Question, Reply, Setup

logger = logging.getLogger(__name__)

QUERY_TIMEOUT_S = 30.0
_QUEUE_TIMEOUT_S = 25.0
IDLE_S = 60.0
"""Seconds after its last answer in which a worker stays, unless the setting ``worker_idle_s`` says others."""
_MOST_RESETS = 4
_END_S = 3.0
"""Seconds that a killed process has until it is given up: it may wait for a disk, or a child of its own may hold its pipes."""


class Worker:
    """One process that answers questions, one at a time; the first question starts it, and `idle_s` without one end it.

    Attributes:
        queue_timeout_s: how long a question may wait in the queue; queue and budget together stay below the client's timeout.
    """

    def __init__(
        self,
        ram_path: Path,
        layout: RamLayout,
        page_map_path: Path,
        symbols: Path | None = None,
        idle_s: float = IDLE_S,
        trace_path: str = "",
        caveats: tuple[str, ...] = (),
        *,
        is_whole: bool = False,
    ) -> None:
        """Read the RAM at `ram_path`; `symbols` is a folder of kernel symbols to use instead of the cache.

        `trace_path` is the shared file of the machine's trace plugin, empty without one; `caveats` hold of every answer;
        `is_whole` is as in `GuestRam`.
        """
        regions = tuple((int(region.start), int(region.offset), region.size) for region in layout.regions)
        self._setup = Setup(
            os.getpid(),
            str(ram_path),
            regions,
            str(page_map_path),
            None if symbols is None else str(symbols),
            trace_path=trace_path,
            caveats=caveats,
            is_whole=is_whole,
        )
        self._process: asyncio.subprocess.Process | None = None
        self._ended: list[asyncio.subprocess.Process] = []
        self._turn = asyncio.Lock()
        self._turns = Turns()
        self._resets = 0
        self._is_closed = False
        self._idle_s = idle_s
        self._rest: asyncio.TimerHandle | None = None
        self.queue_timeout_s = _QUEUE_TIMEOUT_S

    @property
    def pid(self) -> int | None:
        """The process; None while there is none."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    async def ask(
        self,
        operation: Operation[..., Any],
        arguments: bytes = b"{}",
        grade: Grade = Grade.LIVE,
        epoch: int = 0,
        timeout_s: float = QUERY_TIMEOUT_S,
        client: bytes = b"",
        reader: Reader | None = None,
    ) -> tuple[bytes, list[bytes]]:
        """The answer as (JSON, frames); raises the error that the worker reports, `MachineError` after `timeout_s`.

        Each `client` has one question in the queue, its others wait behind that one, and all of them while an answer waits for
        `reader`. A question that a reset of the guest interrupts is asked again, some times.
        """
        async with contextlib.AsyncExitStack() as turn:
            try:
                left_s = await turn.enter_async_context(self._turns.of(client, reader, self.queue_timeout_s))
                async with asyncio.timeout(left_s):
                    await self._turn.acquire()
            except TimeoutError:
                raise MachineError(
                    f"{operation.name} waited {self.queue_timeout_s:g} s in the queue and was dropped; ask again"
                ) from None
            return await self._ask_now(operation, Question(operation.name, bytes(arguments), grade, epoch), timeout_s)

    async def _ask_now(
        self, operation: Operation[..., Any], asked: Question, timeout_s: float
    ) -> tuple[bytes, list[bytes]]:
        # The caller has acquired the turn.
        self._stop_resting()
        try:
            question = msgspec.msgpack.encode(asked)
            async with asyncio.timeout(timeout_s):
                reply = await self._exchange_despite_resets(operation.name, question)
        except TimeoutError:
            self.restart()
            raise MachineError(
                f"{operation.name} exceeded its time budget of {timeout_s:g} s; pause the machine and ask again"
            ) from None
        except (asyncio.IncompleteReadError, ConnectionError, OSError):
            self.restart()
            raise MachineError(
                f"the worker crashed while answering {operation.name}; ask again, a new worker is started"
            ) from None
        except BaseException:
            # The waiter was cancelled: its late answer must not be taken for the next question's.
            self.restart()
            raise
        finally:
            self._rest = asyncio.get_running_loop().call_later(self._idle_s, self._end_idle)
            self._turn.release()
        self._setup = msgspec.structs.replace(self._setup, kernel_note=reply.kernel_note)
        if reply.kind:
            raise getattr(errors, reply.kind, MachineError)(reply.message)
        return reply.result, reply.frames

    async def _exchange_despite_resets(self, name: str, question: bytes) -> Reply:
        for _ in range(_MOST_RESETS):
            resets = self._resets
            try:
                return await self._exchange(question)
            except (asyncio.IncompleteReadError, ConnectionError):
                if self._is_closed:
                    raise MachineGoneError(f"the machine ended while {name} was answered") from None
                if self._resets == resets:
                    raise
        raise MachineError(
            f"the guest was reset {_MOST_RESETS} times while {name} was answered; does its kernel panic? see its console"
        )

    async def _exchange(self, question: bytes) -> Reply:
        if self._is_closed:
            raise ConnectionResetError
        if self._process is not None and self._process.returncode is not None:
            logger.warning("the worker ended with status %s while idle; starting a new one", self._process.returncode)
            self._process = None
        if self._process is None:
            self._process = await self._start()
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(LENGTH.pack(len(question)) + question)
        await stdin.drain()
        (length,) = LENGTH.unpack(await stdout.readexactly(LENGTH.size))
        return msgspec.msgpack.decode(await stdout.readexactly(length), type=Reply)

    async def _start(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "qemu_bridge.daemon.worker_process",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        if self._is_closed:
            end(process)
            self._ended.append(process)
            raise ConnectionResetError
        assert process.stdin is not None
        setup = msgspec.msgpack.encode(self._setup)
        process.stdin.write(LENGTH.pack(len(setup)) + setup)
        return process

    def _stop_resting(self) -> None:
        if self._rest is not None:
            self._rest.cancel()

    def _end_idle(self) -> None:
        if self._process is not None and not self._turn.locked():
            logger.info("the worker ends after %g s without a question; the next one starts another", self._idle_s)
            self.restart()

    def reset(self) -> None:
        """The guest was reset: what was made of the old one goes, and with it the answer that is being made."""
        self._resets += 1
        self._setup = msgspec.structs.replace(self._setup, kernel_note=None)
        self.restart()

    def restart(self) -> None:
        """End the process; the next question starts a new one without state of the old guest."""
        process, self._process = self._process, None
        if process is not None:
            end(process)
            self._ended = [one for one in (*self._ended, process) if one.returncode is None]

    async def close(self) -> None:
        """End the process, for good, and wait until it has ended. Questions that run or wait end with `MachineGoneError`."""
        self._is_closed = True
        self._stop_resting()
        self.restart()
        # Who asked reads the pipe until it ends, and a pipe has one reader.
        async with self._turn:
            for process in self._ended:
                await finish(process)


def end(process: asyncio.subprocess.Process) -> None:
    """Kill `process`, if it still runs."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()


async def finish(process: asyncio.subprocess.Process) -> None:
    """Wait until `process` has ended, after it was killed, and close its pipes; not for ever."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(_END_S):
            with contextlib.suppress(OSError):
                while await process.stdout.read(1 << 20):
                    pass
                await process.stdin.wait_closed()
            await process.wait()
    except TimeoutError:
        logger.warning("process %d was killed and does not end; it is left alone", process.pid)
