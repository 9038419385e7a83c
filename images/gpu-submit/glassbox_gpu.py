"""Submit kernels from a guest of Glass Box to the GPU of its host, in Python 3.9 or later; no other package is needed.

>>> with Gpu() as gpu:
...     x, y = gpu.array([1.0, 2.0, 3.0], "f32"), gpu.zeros(3, "f32")
...     gpu.run(open("saxpy.gpk").read(), lanes=3, arguments={"a": 2, "x": x, "y": y})
...     y.view.tolist()
[2.0, 4.0, 6.0]

Arrays lie in memory that guest and host share: nothing is copied, and NumPy sees them with ``numpy.asarray(x.view)``. `own` names memory
of this process instead, which the host reads through the guest's page tables. One process of a guest at a time has the port.

What goes wrong is a `GpuError`: its `code` is that of docs/gpu-protocol.md, `line` and `column` are places in the kernel's text.
"""

from __future__ import annotations

import binascii
import contextlib
import ctypes
import errno
import mmap
import os
import select
import struct
import time
from array import array
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Union

VERSION = 1
TYPES = {
    "u8": "B",
    "i8": "b",
    "u16": "H",
    "i16": "h",
    "u32": "I",
    "i32": "i",
    "u64": "Q",
    "i64": "q",
    "f32": "f",
    "f64": "d",
}
"""Types of elements, in the order of their codes, and what `struct` and `memoryview` call them."""
CLASSES = ("inferred", "realtime", "batch", "throughput", "interactive")
STATES = ("served", "building", "queued", "running", "done", "failed", "cancelled")
CODES = (
    "OK", "MALFORMED", "VERSION", "COMMAND", "REPLAYED", "SESSION", "SOURCE", "PROGRAM", "LAUNCH", "QUOTA", "HANDLE", "BUSY", "DEADLINE",
    "REFUSED", "TRAP", "LIMIT", "DEVICE", "CANCELLED", "ADDRESS", "JOB", "USAGE", "FAILED",
)  # fmt: skip
_PORT_NAME = "org.glassbox.gpu"
_PORTS, _DEVICES = "/sys/class/virtio-ports", "/sys/bus/pci/devices"
_SUBMIT, _ALLOC, _FREE, _STATUS, _CANCEL, _WAIT, _LIMITS, _CAPABILITIES = range(0x100, 0x108)
_REPLY = 0x8000
_HEADER = struct.Struct("<HHIQQ")
_MOST_PAYLOAD = 4096
_MOST_LINE = (_HEADER.size + _MOST_PAYLOAD + 2) // 3 * 4 + 2
_FOREVER_MS = 0xFFFFFFFF
_ANSWER_S = 120.0
_POLL_S = 0.02
_TEXTS = 4
_PAGE = 4096


class GpuError(Exception):
    """What the host refused, or what a job failed of: `code` is a word of `CODES`, `left` what is left of a quota."""

    def __init__(self, code: str, message: str, line: int = 0, column: int = 0, left: int = 0) -> None:
        self.code, self.line, self.column, self.left = code, line, column, left
        place = f"line {line}:{column}: " if line else ""
        super().__init__(f"{place}{message}")


class NoGpuError(GpuError):
    """There is no GPU here: no port, no server at its other end, or another process that has it."""

    def __init__(self, message: str) -> None:
        super().__init__("NO_GPU", message)


class Result(NamedTuple):
    """A job: where it is, the seconds that it waited, was built and used the device, and what its lanes printed."""

    state: str
    queued_s: float
    built_s: float
    device_s: float
    slices: int
    printed: str


class Limits(NamedTuple):
    """What this guest may use, and uses: memory in bytes, jobs that have not ended."""

    weight: float
    memory: int
    memory_used: int
    aperture: int
    aperture_used: int
    jobs: int
    jobs_queued: int


class Memory:
    """An array that guest and host share: `view` is a memoryview of its elements. Made by `Gpu.zeros` and `Gpu.array`."""

    def __init__(self, handle: int, kind: str, view: memoryview) -> None:
        self.handle, self.kind, self.view = handle, kind, view

    def __len__(self) -> int:
        return len(self.view)


class Own:
    """Memory of this process that the host reads in place, and never writes. Made by `own`."""

    def __init__(self, kind: str, address: int, size: int, keep: object) -> None:
        self.kind, self.address, self.size, self._keep = kind, address, size, keep


def own(content: Any) -> Own:  # noqa: ANN401  # any buffer
    """Memory of this process as an argument: a writable buffer of numbers, such as `array.array` or a NumPy array.

    The host finds its pages through the guest's page tables, so it must not be moved or freed before the job is submitted.
    """
    view = memoryview(content)
    code = view.format.lstrip("<=@") if view.format else "B"
    code = {"l": "q", "L": "Q"}.get(code, code)
    kind = next((name for name, known in TYPES.items() if known == code), None)
    if kind is None or not view.c_contiguous:
        raise ValueError(f"elements of format {view.format!r} are none of {', '.join(TYPES)}, or lie apart")
    data = view.cast("B") if view.nbytes else view
    at = ctypes.addressof(ctypes.c_char.from_buffer(data)) if view.nbytes else 0
    for offset in range(0, view.nbytes, _PAGE):  # what was never touched is nowhere in RAM
        data[offset]
    return Own(kind, at, view.nbytes, view)


Argument = Union[int, float, str, Memory, Own]  # noqa: UP007  # of Python 3.9


class Gpu:
    """The GPU of this guest's host, as a context; `close` gives all memory back and cancels jobs.

    `patience_s` is how long to wait while another process has the port. `port` and `aperture` are the paths, or descriptors, of another
    channel than that of this guest. Raises `NoGpuError`.
    """

    def __init__(
        self, *, patience_s: float = 10.0, port: str | int | None = None, aperture: str | int | None = None
    ) -> None:
        self.device = ""
        """The host's device, in words."""
        self._number, self._received = 0, bytearray()
        self._texts: dict[bytes, Memory] = {}
        self._session = int.from_bytes(os.urandom(8), "little")
        self._port = port if isinstance(port, int) else _open_port(port or _find_port(), patience_s)
        try:
            self._map(aperture if aperture is not None else _find_aperture())
            self._send(b"\n", time.monotonic() + _ANSWER_S)  # what a killed process left unfinished ends with it
            reply = self._ask(_CAPABILITIES)
            reply.take("<HIQ")
            self.device = reply.text()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Gpu:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the port. Again: nothing."""
        if self._port >= 0:
            os.close(self._port)
        self._port = -1

    # --- memory ---------------------------------------------------------------------------------------------

    def zeros(self, count: int, kind: str) -> Memory:
        """An array of `count` zeros of type `kind`, such as ``f32``. `GpuError` QUOTA says what is left."""
        if kind not in TYPES:
            raise ValueError(f"{kind!r} is no type of elements; they are {', '.join(TYPES)}")
        size = count * struct.calcsize(TYPES[kind])
        handle, offset = self._ask(_ALLOC, struct.pack("<Q", size)).take("<QQ")
        return Memory(handle, kind, self._aperture[offset : offset + size].cast(TYPES[kind]))  # type: ignore[call-overload]

    def array(self, content: Iterable[int | float] | bytes, kind: str) -> Memory:
        """An array with a copy of `content`: numbers, or a buffer of elements of type `kind`."""
        if kind not in TYPES:
            raise ValueError(f"{kind!r} is no type of elements; they are {', '.join(TYPES)}")
        try:
            data = memoryview(content).cast("B")  # type: ignore[arg-type]
        except TypeError:
            data = memoryview(array(TYPES[kind], content)).cast("B")
        made = self.zeros(len(data) // struct.calcsize(TYPES[kind]), kind)
        made.view.cast("B")[:] = data
        return made

    def free(self, memory: Memory) -> None:
        """Give an array back, whose view must not be used afterwards. `GpuError` BUSY while a job uses it."""
        self._ask(_FREE, struct.pack("<Q", memory.handle))

    # --- jobs -----------------------------------------------------------------------------------------------

    def submit(
        self,
        text: str,
        *,
        arguments: Mapping[str, Argument] | None = None,
        kernel: str = "",
        lanes: int = 0,
        blocks: int = 0,
        threads: int = 0,
        language: str = "gpk",
        job_class: str = "inferred",
        deadline_s: float = 0.0,
        limit_s: float = 0.0,
        fuel: int = 0,
    ) -> int:
        """Submit a kernel of `text`; its job's number. Give `lanes`, or `blocks` and `threads`. What is refused at once is a `GpuError`."""
        content = text.encode()
        memory = self._text(content)
        given = arguments or {}
        payload = struct.pack(
            "<QQQBBH",
            memory.handle,
            0,
            len(content),
            ("gpk", "ir").index(language),
            CLASSES.index(job_class),
            len(given),
        )
        payload += struct.pack("<QQIQQQ", lanes, blocks, threads, round(deadline_s * 1e6), round(limit_s * 1e6), fuel)
        payload += _text(kernel) + _text(_label()) + b"".join(_argument(name, value) for name, value in given.items())
        return int(self._ask(_SUBMIT, payload).take("<Q")[0])

    def wait(self, job: int, timeout_s: float | None = None) -> Result:
        """Wait for a job's end, or for so long; of one that failed the `GpuError`."""
        timeout_ms = _FOREVER_MS if timeout_s is None else min(max(round(timeout_s * 1e3), 0), _FOREVER_MS - 1)
        patience_s = None if timeout_s is None else timeout_s + _ANSWER_S
        return _result(self._ask(_WAIT, struct.pack("<QI", job, timeout_ms), patience_s))

    def run(self, text: str, **options: Any) -> Result:  # noqa: ANN401  # as those of submit
        """Submit as `submit` does, and wait for the end."""
        return self.wait(self.submit(text, **options))

    def status(self, job: int = 0) -> Result:
        """A job as it is now; without one, whether the host answers."""
        return _result(self._ask(_STATUS, struct.pack("<Q", job)))

    def cancel(self, job: int) -> bool:
        """End a job; False where it had ended."""
        return bool(self._ask(_CANCEL, struct.pack("<Q", job)).take("<B")[0])

    def limits(self) -> Limits:
        """What this guest may use, and uses."""
        return Limits(*self._ask(_LIMITS).take("<d6Q"))

    def _text(self, content: bytes) -> Memory:
        """A kernel's text in shared memory; those of the last submissions stay there."""
        if content not in self._texts:
            while len(self._texts) >= _TEXTS:
                self.free(self._texts.pop(next(iter(self._texts))))
            self._texts[content] = self.array(content or b"\0", "u8")
        return self._texts[content]

    # --- the port -------------------------------------------------------------------------------------------

    def _map(self, aperture: str | int) -> None:
        descriptor = aperture if isinstance(aperture, int) else os.open(aperture, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._aperture = memoryview(mmap.mmap(descriptor, os.fstat(descriptor).st_size))
        except OSError:
            raise NoGpuError(
                "the memory of the GPU's aperture cannot be mapped; does this kernel forbid it (lockdown)?"
            ) from None
        finally:
            if not isinstance(aperture, int):
                os.close(descriptor)

    def _ask(self, command: int, payload: bytes = b"", patience_s: float | None = _ANSWER_S) -> _Reader:
        """Send a request and wait for its reply; `GpuError` where that is a refusal."""
        if self._port < 0:
            raise NoGpuError("the channel was closed; open another one")
        if len(payload) > _MOST_PAYLOAD:
            raise GpuError("USAGE", "the arguments do not fit into one request; give fewer, or shorter names")
        until = None if patience_s is None else time.monotonic() + patience_s
        self._number += 1
        header = _HEADER.pack(VERSION, command, len(payload), self._session, self._number)
        self._send(binascii.b2a_base64(header + payload), until)
        while True:
            content = self._line(until)
            # What is not the reply to this request is that to one of a process that had the port before.
            if len(content) < _HEADER.size + 2 or _HEADER.unpack_from(content)[3:] != (self._session, self._number):
                continue
            reply = _Reader(content[_HEADER.size :])
            (code,) = reply.take("<H")
            if not code:
                return reply
            line, column, left = reply.take("<IIQ")
            raise GpuError(CODES[code] if code < len(CODES) else str(code), reply.text(), line, column, left)

    def _send(self, content: bytes, until: float | None) -> None:
        while content:
            self._ready(select.POLLOUT, until)
            with contextlib.suppress(BlockingIOError):
                content = content[os.write(self._port, content) :]

    def _line(self, until: float | None) -> bytes:
        """The bytes behind the next line; none for a line that is no frame."""
        while b"\n" not in self._received:
            if len(self._received) > _MOST_LINE:
                self._received.clear()
            self._ready(select.POLLIN, until)
            with contextlib.suppress(BlockingIOError):
                found = os.read(self._port, 1 << 16)
                if not found:
                    raise NoGpuError("no GPU server is connected to this guest; run 'glassbox gpu serve' on the host")
                self._received += found
        line, _, self._received = self._received.partition(b"\n")
        try:
            return binascii.a2b_base64(line)
        except binascii.Error:
            return b""

    def _ready(self, events: int, until: float | None) -> None:
        poll = select.poll()
        poll.register(self._port, events)
        while True:
            left = 1.0 if until is None else until - time.monotonic()
            if left <= 0:
                raise NoGpuError(
                    "the GPU's server does not answer; try again, or look at 'glassbox gpu top' on the host"
                )
            found = [state for _, state in poll.poll(min(left, 1.0) * 1e3)]
            if found and found[0] & events:
                return
            if found:
                raise NoGpuError("no GPU server is connected to this guest; run 'glassbox gpu serve' on the host")


class _Reader:
    """Fields of a payload, one after another."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def take(self, form: str) -> tuple[Any, ...]:
        """The next fields."""
        try:
            found = struct.unpack_from(form, self._content, self._at)
        except struct.error:
            raise GpuError("MALFORMED", "the host's reply is too short; is its version another?") from None
        self._at += struct.calcsize(form)
        return found

    def text(self) -> str:
        """The next text."""
        (size,) = self.take("<H")
        self._at += size
        return self._content[self._at - size : self._at].decode(errors="replace")


def _result(reply: _Reader) -> Result:
    state, queued_us, built_us, device_us, slices = reply.take("<BQQQI")
    name = STATES[state] if state < len(STATES) else str(state)
    return Result(name, queued_us / 1e6, built_us / 1e6, device_us / 1e6, slices, reply.text())


def _text(words: str) -> bytes:
    content = words.encode()
    return struct.pack("<H", len(content)) + content


def _label() -> str:
    try:
        with open("/proc/self/comm") as file:
            return file.read().strip()
    except OSError:
        return "python"


def _argument(name: str, value: Argument) -> bytes:
    if isinstance(value, Memory):
        kind = list(TYPES).index(value.kind)
        return b"\1" + _text(name) + struct.pack("<BQQQ", kind, value.handle, 0, value.view.nbytes)
    if isinstance(value, Own):
        kind = list(TYPES).index(value.kind)
        return b"\2" + _text(name) + struct.pack("<BIQQ", kind, os.getpid(), value.address, value.size)
    return b"\0" + _text(name) + _text(str(int(value) if isinstance(value, bool) else value))


def _find_port() -> str:
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(_PORTS)):
            with open(f"{_PORTS}/{name}/name") as file:
                if file.read().strip() == _PORT_NAME:
                    return f"/dev/{name}"
    raise NoGpuError("this guest has no port to a GPU; start it with 'glassbox start NAME --gpu' on the host")


def _open_port(path: str, patience_s: float) -> int:
    until = time.monotonic() + patience_s
    while True:
        try:
            return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno == errno.EACCES:
                raise NoGpuError("the port to the GPU belongs to root; run this as root") from None
            if error.errno != errno.EBUSY:
                raise NoGpuError(f"the port to the GPU cannot be opened ({error.strerror})") from None
        if time.monotonic() > until:
            raise NoGpuError(
                "another process of this guest has the port to the GPU; wait for it, or give patience_s more"
            )
        time.sleep(_POLL_S)


def _find_aperture() -> str:
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(_DEVICES)):
            with open(f"{_DEVICES}/{name}/vendor") as vendor, open(f"{_DEVICES}/{name}/device") as device:
                if (vendor.read().strip(), device.read().strip()) == ("0x1af4", "0x1110"):
                    return f"{_DEVICES}/{name}/resource2"
    raise NoGpuError("this guest has no aperture to a GPU; start it with 'glassbox start NAME --gpu' on the host")
