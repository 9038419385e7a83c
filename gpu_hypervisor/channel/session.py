"""What a guest asks, and what it is answered: sessions, their memory and their jobs. No I/O of its own.

Who asks is known from the channel: a `GuestSessions` belongs to one guest and to its tenant, and no message names either. A session
begins with CAPABILITIES under a new number, when another process has opened the port; what the one before had is given up then.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qemu_bridge.errors import GlassBoxError, UsageError

from ..engine import BufferSlice, Job, JobState, Origin, Tenant
from ..errors import QuotaError
from .aperture import Aperture
from .frames import MOST_PAYLOAD, REPLY, VERSION, Frame, Malformed
from .jobs import to_submission, typed_view, write_result
from .messages import Code, Command, Memory, Number, Refusal, Submit, Virtual, accepted, read_submit
from .payload import Reader, Writer

if TYPE_CHECKING:
    from .processes import GuestProcesses

logger = logging.getLogger(__name__)

MOST_WAITS = 64
"""Requests WAIT that may be open in one session."""
MOST_ENDED = 256
"""Jobs that have ended and may still be asked about; the oldest is forgotten first."""
MOST_TEXT_BYTES = 1 << 22
"""Of a kernel: the language allows 1 Mi characters."""
_FOREVER_MS = 0xFFFFFFFF


class UnknownJobError(UsageError):
    """A job that the guest did not submit, or that was forgotten."""


@dataclass
class _Held:
    """A job, and what it has until it ends: blocks of the aperture, and buffers with what was read of processes."""

    job: Job
    blocks: set[int]
    buffers: list[int]
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class GuestSessions:
    """The sessions of one guest, one after another, on behalf of its `tenant`."""

    def __init__(
        self, tenant: Tenant, aperture: Aperture, processes: GuestProcesses, device: str, queue_jobs: int
    ) -> None:
        self._tenant, self._aperture, self._processes = tenant, aperture, processes
        self._device, self._queue_jobs = device, queue_jobs
        self.session: int | None = None
        """Number of the open session."""
        self.origin = Origin(is_open=False)
        """Of the jobs of the session that is open, or was last."""
        self.begun = asyncio.Event()
        """Set when a session begins; who has waited for it clears it."""
        self._number = self._waits = 0
        self._jobs: dict[int, _Held] = {}
        self._last_job = 0

    async def answer(self, frame: Frame | Malformed) -> Frame:
        """The reply to `frame`. That to WAIT comes when its job has ended; other frames may be answered meanwhile."""
        if isinstance(frame, Malformed):
            return Frame(REPLY, 0, 0, Refusal(Code.MALFORMED, f"{frame.reason}; see docs/gpu-protocol.md").encode())
        try:
            payload = await self._execute(frame)
        except _RefusedError as error:
            payload = error.refusal.encode()
        except GlassBoxError as error:
            payload = Refusal.of(error).encode()
        except Exception:
            # A guest is told that much; the traceback is for who runs the server.
            logger.exception("request %#x of %s failed", frame.command, self._tenant.name)
            payload = Refusal(Code.FAILED, "the host failed; its log says how").encode()
        return Frame(frame.command | REPLY, frame.session, frame.number, payload)

    async def _execute(self, frame: Frame) -> bytes:
        if frame.version != VERSION:
            raise _RefusedError(Code.VERSION, f"version {frame.version} is not spoken here; speak version {VERSION}")
        if frame.command not in _COMMANDS:
            raise _RefusedError(
                Code.COMMAND, f"there is no command {frame.command:#x}; commands are 0x100 to {max(Command):#x}"
            )
        if frame.session != self.session:
            if frame.command != Command.CAPABILITIES:
                raise _RefusedError(Code.SESSION, "another session is open, or none; begin one with CAPABILITIES")
            self.end_session()
            self.session, self._number = frame.session, 0
            self.origin = Origin(frame.session)
            self.begun.set()
        if frame.number <= self._number:
            raise _RefusedError(
                Code.REPLAYED,
                f"request {frame.number} was there already; numbers go up, and the last one is {self._number}",
            )
        self._number = frame.number
        reader = Reader(frame.payload)
        return (await _COMMANDS[Command(frame.command)](self, reader)).content

    def end_session(self) -> None:
        """What the session had is given up: its jobs are cancelled, and its memory goes when they have ended."""
        for held in self._jobs.values():
            held.job.cancel()
        self._jobs.clear()
        self._aperture.give_up_all()
        self.session = None
        self.origin.is_open = False
        self._last_job = 0

    # --- commands ----------------------------------------------------------------------------------------

    async def _capabilities(self, reader: Reader) -> Writer:
        reader.end()
        return accepted().u16(VERSION).u32(MOST_PAYLOAD).u64(self._aperture.size).text(self._device)

    async def _limits(self, reader: Reader) -> Writer:
        reader.end()
        usage = self._tenant.usage()
        writer = accepted().f64(self._tenant.weight).u64(usage.memory_limit_bytes).u64(usage.memory_bytes)
        writer.u64(self._aperture.limit_bytes).u64(self._aperture.used_bytes)
        return writer.u64(self._queue_jobs).u64(usage.building + usage.queued + usage.running)

    async def _alloc(self, reader: Reader) -> Writer:
        size = reader.u64()
        reader.end()
        block = self._aperture.allocate(size)
        return accepted().u64(block.handle).u64(block.offset)

    async def _free(self, reader: Reader) -> Writer:
        handle = reader.u64()
        reader.end()
        self._aperture.free(handle)
        return accepted()

    async def _status(self, reader: Reader) -> Writer:
        number = reader.u64()
        reader.end()
        if number == 0:
            return write_result(None)
        return write_result(self._find(number).job)

    async def _cancel(self, reader: Reader) -> Writer:
        number = reader.u64()
        reader.end()
        return accepted().u8(self._find(number).job.cancel())

    async def _wait(self, reader: Reader) -> Writer:
        number, timeout_ms = reader.u64(), reader.u32()
        reader.end()
        held = self._find(number or self._last_job)
        if self._waits >= MOST_WAITS:
            raise QuotaError(f"{MOST_WAITS} requests wait already; wait for one of them", wanted=1, left=0)
        self._waits += 1
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if timeout_ms == _FOREVER_MS else timeout_ms / 1000):
                    await held.ended.wait()
        finally:
            self._waits -= 1
        job = held.job
        if job.error is not None:
            raise job.error
        if job.state is JobState.CANCELLED:
            raise _RefusedError(Code.CANCELLED, f"job {job.number} was cancelled; submit it again")
        return write_result(job)

    async def _submit(self, reader: Reader) -> Writer:
        self._last_job = 0  # who waits for the last job without having heard of a refusal means this one
        request = read_submit(reader.rest())
        text, session = self._text(request), self.session
        named = [request.text, *request.arguments.values()]
        blocks = {memory.handle for memory in named[1:] if isinstance(memory, Memory)}
        arguments: dict[str, Any] = {}
        buffers: list[int] = []
        # Blocks are the job's before anything is awaited: nobody frees them meanwhile.
        self._aperture.take(blocks)
        try:
            for name, given in request.arguments.items():
                match given:
                    case Number():
                        arguments[name] = given.value
                    case Memory():
                        arguments[name] = typed_view(self._aperture, given, name)
                    case Virtual():
                        arguments[name] = await self._read_process(given, buffers)
            if self.session != session:  # its process has gone while memory was read
                raise _RefusedError(Code.SESSION, "the session has ended; begin one with CAPABILITIES")
            job = self._tenant.submit(to_submission(request, text, arguments, self.origin))
        except BaseException:
            self._release(blocks, buffers)
            raise
        self._keep(_Held(job, blocks, buffers))
        return accepted().u64(job.number)

    # --- jobs --------------------------------------------------------------------------------------------

    def _text(self, request: Submit) -> str:
        if request.text.size > MOST_TEXT_BYTES:
            raise UsageError(
                f"a text of {request.text.size} bytes is more than any kernel needs; give up to {MOST_TEXT_BYTES}"
            )
        # A copy: the guest may change the bytes while they are read.
        content = self._aperture.view(request.text).tobytes()
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise UsageError(f"the kernel's text is no UTF-8 at byte {error.start}; write it in UTF-8") from None

    async def _read_process(self, wanted: Virtual, buffers: list[int]) -> BufferSlice:
        handle = self._tenant.allocate(wanted.size)
        buffers.append(handle)
        # Other guests are served while pages are looked up and read.
        await asyncio.to_thread(
            self._processes.read, wanted, lambda offset, view: self._tenant.write(handle, offset, view)
        )
        return BufferSlice(handle)

    def _keep(self, held: _Held) -> None:
        loop = asyncio.get_running_loop()
        self._jobs[held.job.number] = held
        self._last_job = held.job.number
        ended = [number for number, other in self._jobs.items() if other.ended.is_set()]
        for number in ended[: max(0, len(ended) - MOST_ENDED)]:
            del self._jobs[number]
        held.job.add_done_callback(lambda job: _call_in(loop, lambda: self._finish(held)))

    def _finish(self, held: _Held) -> None:
        self._release(held.blocks, held.buffers)
        held.ended.set()

    def _release(self, blocks: set[int], buffers: list[int]) -> None:
        self._aperture.give_back(blocks)
        for handle in buffers:
            with contextlib.suppress(GlassBoxError):  # its tenant may be gone
                self._tenant.free(handle)

    def _find(self, number: int) -> _Held:
        held = self._jobs.get(number)
        if held is None:
            raise UnknownJobError(f"this session has no job {number}; ask about one that it submitted")
        return held


class _RefusedError(Exception):
    """A request that is refused for what the protocol says, not for what the engine does."""

    def __init__(self, code: Code, message: str) -> None:
        self.refusal = Refusal(code, message)
        super().__init__(message)


_COMMANDS: Mapping[Command, Callable[[GuestSessions, Reader], Awaitable[Writer]]] = {
    Command.SUBMIT_PRIMITIVE: GuestSessions._submit,
    Command.ALLOC_MEMORY: GuestSessions._alloc,
    Command.FREE_MEMORY: GuestSessions._free,
    Command.QUERY_STATUS: GuestSessions._status,
    Command.CANCEL: GuestSessions._cancel,
    Command.WAIT: GuestSessions._wait,
    Command.LIMITS: GuestSessions._limits,
    Command.CAPABILITIES: GuestSessions._capabilities,
}


def _call_in(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended, and with it all that could wait
        loop.call_soon_threadsafe(function)
