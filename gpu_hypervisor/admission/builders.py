"""The hypervisor's side of its builders: processes that are started when they are needed, and ended when a text takes too long."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable

import msgspec

from pixel_cpu.errors import LimitError

from .built import LENGTH, BuildRequest, Built, Failure, Reply

BUILD_SECONDS = 30.0
"""What a text may take; its builder is ended then."""
BUILDER_BYTES = 2 << 30
"""What a builder may allocate."""
MOST_KEPT = 512
"""Kernels that are remembered, those used last."""
_READ_BYTES = 1 << 20
_REPLY = msgspec.msgpack.Decoder(Reply)

Then = Callable[[Reply], None]


class Builders:
    """Builds for many tenants. Each has one text built at a time, so that who sends many delays itself.

    It has no thread: `watch` is called with the descriptor of each builder, `ready` when one can be read, `expire` now and then. `then`
    of a request is called once, perhaps at once.
    """

    def __init__(self, watch: Callable[[int], None], *, builders: int = 2, seconds: float = BUILD_SECONDS) -> None:
        self._watch, self._seconds, self._most = watch, seconds, builders
        self._builders: dict[int, _Builder] = {}
        self._kept: OrderedDict[str, Built] = OrderedDict()
        self._queue: deque[tuple[Hashable, BuildRequest, Then]] = deque()
        self.built = self.failed = 0

    def build(self, who: Hashable, request: BuildRequest, then: Then) -> None:
        """Build for a tenant, after what it asked for before."""
        kept = self._kept.get(request.digest)
        if kept is not None:
            self._kept.move_to_end(request.digest)
            then(kept)
            return
        self._queue.append((who, request, then))
        self._start()

    def drop(self, who: Hashable) -> None:
        """A tenant wants nothing any more. What is being built for it is ended."""
        self._queue = deque(each for each in self._queue if each[0] != who)
        for builder in list(self._builders.values()):
            if builder.work and builder.work[0] == who:
                builder.work = None
                self._end(builder)
        self._start()

    def owns(self, descriptor: int) -> bool:
        """Whether a descriptor is a builder's."""
        return descriptor in self._builders

    def ready(self, descriptor: int) -> None:
        """A builder answered, or died."""
        builder = self._builders[descriptor]
        reply = builder.receive()
        if reply is None:
            return
        work, builder.work = builder.work, None
        if builder.is_dead:
            self._end(builder)
        if work:
            if isinstance(reply, Built):
                self.built += 1
                self._kept[work[1].digest] = reply
                if len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
            else:
                self.failed += 1
            work[2](reply)
        self._start()

    @property
    def next_expiry(self) -> float | None:
        """The moment of `time.monotonic` at which `expire` has something to do; None while nothing is built."""
        return min((builder.until for builder in self._builders.values() if builder.work), default=None)

    def expire(self) -> None:
        """End builders whose text takes too long."""
        now = time.monotonic()
        for builder in list(self._builders.values()):
            if builder.work and now >= builder.until:
                work, builder.work = builder.work, None
                self._end(builder)
                self.failed += 1
                text = f"the kernel was not built within {self._seconds:g} s, and was given up; make it smaller"
                work[2](Failure(LimitError.__name__, text))
        self._start()

    def close(self) -> None:
        """End all builders; what is being built is forgotten."""
        self._queue.clear()
        for builder in list(self._builders.values()):
            self._end(builder)

    def _start(self) -> None:
        """Give idle builders the next texts."""
        while self._queue:
            busy = {builder.work[0] for builder in self._builders.values() if builder.work}
            place = next((n for n, each in enumerate(self._queue) if each[0] not in busy), None)
            if place is None:
                return
            idle = next((builder for builder in self._builders.values() if not builder.work), None)
            if idle is None:
                if len(self._builders) >= self._most:
                    return
                idle = _Builder()
                self._builders[idle.fileno] = idle
                self._watch(idle.fileno)
            work = self._queue[place]
            del self._queue[place]
            kept = self._kept.get(work[1].digest)
            if kept is not None:  # another tenant had it built meanwhile
                work[2](kept)
                continue
            idle.send(work, time.monotonic() + self._seconds)

    def _end(self, builder: _Builder) -> None:
        del self._builders[builder.fileno]
        builder.end()


class _Builder:
    """A builder's process and what it works on."""

    def __init__(self) -> None:
        self._connection, theirs = socket.socketpair()
        with theirs:
            words = [str(theirs.fileno()), str(os.getpid()), str(BUILDER_BYTES)]
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gpu_hypervisor.admission.builder", *words],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.fileno = self._connection.fileno()
        self.work: tuple[Hashable, BuildRequest, Then] | None = None
        self.until = 0.0
        self.is_dead = False
        self._data = bytearray()

    def send(self, work: tuple[Hashable, BuildRequest, Then], until: float) -> None:
        """Begin to work."""
        self.work, self.until = work, until
        # A builder that starts does not read yet, and a long text does not fit into the socket.
        threading.Thread(target=self._send, args=(msgspec.msgpack.encode(work[1]),), daemon=True).start()

    def _send(self, body: bytes) -> None:
        with contextlib.suppress(OSError):  # it died, which `receive` says
            self._connection.sendall(LENGTH.pack(len(body)) + body)

    def receive(self) -> Reply | None:
        """What it answered; None while that is not complete."""
        try:
            part = self._connection.recv(_READ_BYTES)
        except OSError:
            part = b""
        if not part:
            self.is_dead = True
            return Failure("LimitError", "the builder died of this text; make it smaller")
        self._data += part
        if len(self._data) < LENGTH.size or len(self._data) < LENGTH.size + LENGTH.unpack_from(self._data)[0]:
            return None
        body = bytes(self._data[LENGTH.size :])
        self._data.clear()
        reply: Reply = _REPLY.decode(body)
        return reply

    def end(self) -> None:
        """End the process and the compiler that it started."""
        self._connection.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
