"""What a client and the service say to each other: MessagePack, each message with its length before it; descriptors come beside it."""

from __future__ import annotations

import array
import os
import socket
from typing import Any

import msgspec

from pixel_cpu import errors as kernel_errors
from pixel_cpu.errors import GlassBoxError, TrapError
from qemu_bridge import errors as bridge_errors
from qemu_bridge.errors import UsageError

from .. import errors
from ..admission import Failure
from ..admission.built import LENGTH
from ..advice import AdviceEntry, Bounds, Suggestion
from ..engine import GpuEvent, JobRow, JobState, SliceRow, Stats, TenantUsage
from ..errors import DeadlineError, QuotaError
from ..scheduler import JobClass

VERSION = 1
MAX_MESSAGE_BYTES = 16 << 20
"""A longer message ends the connection."""
MAX_DESCRIPTORS = 4
"""Beside one message; more are closed, and the connection with them."""


class ArrayPlace(msgspec.Struct, frozen=True, array_like=True):
    """An argument: elements in a region, or a part of a buffer where `handle` is not 0 (then `dtype` counts for nothing)."""

    name: str
    handle: int
    region: int
    offset: int
    size_bytes: int
    dtype: str


class Open(msgspec.Struct, tag="open", frozen=True):
    """Make this connection a tenant."""

    name: str
    weight: float = 1.0
    memory_bytes: int = 256 << 20
    queue_jobs: int = 64
    job_class: JobClass | None = None
    version: int = VERSION


class Adopt(msgspec.Struct, tag="adopt", frozen=True):
    """Share memory: its descriptor is beside the message. The reply is the region's number."""

    size_bytes: int


class Release(msgspec.Struct, tag="release", frozen=True):
    """A region is not needed any more."""

    region: int


class Allocate(msgspec.Struct, tag="allocate", frozen=True):
    """A buffer; the reply is its handle."""

    size_bytes: int


class Free(msgspec.Struct, tag="free", frozen=True):
    """Give a buffer back."""

    handle: int


class Copy(msgspec.Struct, tag="copy", frozen=True):
    """Copy bytes between a buffer and a region."""

    handle: int
    offset: int
    region: int
    region_offset: int
    size_bytes: int
    to_buffer: bool


class Submit(msgspec.Struct, tag="submit", frozen=True):
    """A `Submission`; the reply is the job's number."""

    text: str
    language: str
    kernel: str | None
    lanes: int | None
    blocks: int | None
    threads: int | None
    scalars: dict[str, int | float | bool]
    arrays: tuple[ArrayPlace, ...]
    job_class: JobClass | None
    deadline_s: float | None
    expected_s: float | None
    seconds: float
    fuel: int
    label: str


class Wait(msgspec.Struct, tag="wait", frozen=True):
    """Wait for a job's end, for so long at most; the reply is a `JobReport` either way."""

    job: int
    timeout_s: float


class Cancel(msgspec.Struct, tag="cancel", frozen=True):
    """End a job of this tenant."""

    job: int


class Usage(msgspec.Struct, tag="usage", frozen=True):
    """What this tenant has."""


class AskStats(msgspec.Struct, tag="stats", frozen=True):
    """What goes on."""


class Why(msgspec.Struct, tag="why", frozen=True):
    """Why what was decided about a job."""

    job: int


class SetWeight(msgspec.Struct, tag="weight", frozen=True):
    """Give a tenant another weight."""

    name: str
    weight: float


class Move(msgspec.Struct, tag="move", frozen=True):
    """Have a tenant's jobs go on with a device, and later ones run there; None: wherever they are done soonest."""

    tenant: str
    device: str | None


class Drain(msgspec.Struct, tag="drain", frozen=True):
    """Have a device take no jobs, and those that it has go on elsewhere; `is_over`: it takes jobs again."""

    device: str
    is_over: bool = False


class AskJobs(msgspec.Struct, tag="jobs", frozen=True):
    """Jobs that have not ended, and the last ones that did; of one tenant, or of all."""

    tenant: str | None = None


class AskSlices(msgspec.Struct, tag="slices", frozen=True):
    """Slices that ended after a moment of the monotonic clock."""

    since_ns: int = 0


class AskEvents(msgspec.Struct, tag="events", frozen=True):
    """Events with a number above `since`; where there are none, those that come within so long. `since` -1: from now on."""

    since: int = 0
    timeout_s: float = 0.0


class Suggest(msgspec.Struct, tag="suggest", frozen=True):
    """Suggest a weight or a class; the reply is the log's new entry."""

    suggestion: Suggestion


class Undo(msgspec.Struct, tag="undo", frozen=True):
    """Take a suggestion back; the reply is its entry."""

    number: int


class AskAdvice(msgspec.Struct, tag="advice", frozen=True):
    """What may be suggested, and what was."""


Request = (
    Open | Adopt | Release | Allocate | Free | Copy | Submit | Wait | Cancel | Usage | AskStats | Why | SetWeight | Move | Drain
    | AskJobs | AskSlices | AskEvents | Suggest | Undo | AskAdvice
)  # fmt: skip


class ErrorReport(msgspec.Struct, tag="error", frozen=True):
    """An error, so that the other side raises the same."""

    failure: Failure
    values: dict[str, Any] = {}

    @classmethod
    def of(cls, error: GlassBoxError) -> ErrorReport:
        """The report of an error."""
        if isinstance(error, TrapError):
            values = {"kernel": error.kernel, "lane": error.lane, "reason": error.reason, "line": error.line}
        else:
            values = {name: getattr(error, name) for name in ("wanted", "left", "left_seconds") if hasattr(error, name)}
        return cls(Failure.of(error), values)

    @property
    def error(self) -> GlassBoxError:
        """The error that it reports."""
        kind, message = self.failure.kind, self.failure.message
        if kind == "TrapError":
            return TrapError(**self.values)
        if kind == "QuotaError":
            return QuotaError(message, **self.values)
        if kind == "DeadlineError":
            return DeadlineError(message, **self.values)
        for module in (errors, bridge_errors):
            found = getattr(module, kind, None)
            if isinstance(found, type) and issubclass(found, GlassBoxError) and not hasattr(kernel_errors, kind):
                made: GlassBoxError = found(message)
                return made
        return self.failure.error


class JobReport(msgspec.Struct, tag="job", frozen=True):
    """A job as it is now."""

    number: int
    state: JobState
    kernel: str
    job_class: JobClass | None
    error: ErrorReport | None
    printed: tuple[tuple[int, str], ...]
    traps: int
    device_seconds: float
    queued_seconds: float
    build_seconds: float
    slices: int


class Number(msgspec.Struct, tag="number", frozen=True):
    """A number that was asked for; 0 where nothing else is to be said."""

    value: int = 0


class Lines(msgspec.Struct, tag="lines", frozen=True):
    """Lines of text."""

    lines: tuple[str, ...]


class UsageReport(msgspec.Struct, tag="usage_report", frozen=True):
    """What a tenant has."""

    usage: TenantUsage


class StatsReport(msgspec.Struct, tag="stats_report", frozen=True):
    """What goes on."""

    stats: Stats


class JobsReport(msgspec.Struct, tag="jobs_report", frozen=True):
    """Jobs, by number."""

    jobs: tuple[JobRow, ...]


class SlicesReport(msgspec.Struct, tag="slices_report", frozen=True):
    """Slices, by their ends, and the moment of the report."""

    slices: tuple[SliceRow, ...]
    now_ns: int


class EventsReport(msgspec.Struct, tag="events_report", frozen=True):
    """Events, by number."""

    events: tuple[GpuEvent, ...]


class AdviceReport(msgspec.Struct, tag="advice_report", frozen=True):
    """Entries of the log of suggestions, and what may be suggested."""

    bounds: Bounds
    entries: tuple[AdviceEntry, ...]


Reply = (
    ErrorReport | JobReport | Number | Lines | UsageReport | StatsReport | JobsReport | SlicesReport | EventsReport | AdviceReport
)  # fmt: skip
_ENCODER = msgspec.msgpack.Encoder()


class Connection:
    """One end of a connection: whole messages of one kind come in."""

    def __init__(self, own: socket.socket, kind: Any) -> None:  # noqa: ANN401  # a union of messages
        self.socket = own
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(kind)
        self._data = bytearray()
        self._descriptors: list[int] = []

    def send(self, message: Request | Reply, *descriptors: int) -> None:
        """Send one message; `OSError` where the other end is gone."""
        body = _ENCODER.encode(message)
        whole = LENGTH.pack(len(body)) + body
        sent = 0
        if descriptors:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
            sent = self.socket.sendmsg([whole], rights)
        self.socket.sendall(whole[sent:])

    def receive(self) -> tuple[Any, list[int]]:
        """The next message and the descriptors beside it, which are the caller's now.

        `EOFError` where the other end is gone or sends what is too long, `UsageError` for a message that is none.
        """
        size = None
        while size is None or len(self._data) < LENGTH.size + size:
            if len(self._data) >= LENGTH.size:
                size = LENGTH.unpack_from(self._data)[0]
                if size > MAX_MESSAGE_BYTES:
                    raise EOFError(f"a message of {size} bytes")
                if len(self._data) >= LENGTH.size + size:
                    break
            self._read()
        body = bytes(self._data[LENGTH.size : LENGTH.size + size])
        del self._data[: LENGTH.size + size]
        descriptors, self._descriptors = self._descriptors, []
        try:
            return self._decoder.decode(body), descriptors
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            for each in descriptors:
                os.close(each)
            raise UsageError(f"the message is none: {error}") from None

    def close(self) -> None:
        """Close the connection, and descriptors that came and were not taken."""
        self.socket.close()
        for each in self._descriptors:
            os.close(each)
        self._descriptors = []

    def _read(self) -> None:
        space = socket.CMSG_SPACE(4 * MAX_DESCRIPTORS)
        part, beside, flags, _ = self.socket.recvmsg(1 << 16, space, socket.MSG_CMSG_CLOEXEC)
        for _, kind, payload in beside:
            if kind == socket.SCM_RIGHTS:
                self._descriptors += array.array("i", payload[: len(payload) // 4 * 4])
        if not part or flags & socket.MSG_CTRUNC or len(self._descriptors) > MAX_DESCRIPTORS:
            raise EOFError("the other end closed the connection, or sent too many descriptors")
        self._data += part
