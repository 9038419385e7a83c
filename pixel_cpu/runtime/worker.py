"""The process that a device lives in: it maps buffers, compiles kernels and runs launches, and may be killed at any time.

``python -m pixel_cpu.runtime.worker FD PARENT DATA_BYTES CPUS`` serves the socket FD until it closes.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import resource
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from qemu_bridge.errors import GlassBoxError
from qemu_bridge.host.parent import die_with_parent

from ..backends.launch import Executable, Launch, Part
from ..ir.text import read
from ..ir.verifier import verify
from .backends import compile_kernel, load_prepared
from .messages import Channel, CompileKernel, Done, Failed, Operand, Request, RunKernel


class Worker:
    """Serves one device's requests in order."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._memory: dict[int, mmap.mmap] = {}
        self._kernels: dict[int, Executable] = {}

    def serve(self) -> None:
        """Answer requests until the connection closes."""
        while True:
            try:
                request, descriptors = self._channel.receive_request()
            except (EOFError, OSError):
                return
            except msgspec.ValidationError as error:
                self._channel.send(Failed("LaunchError", f"the launch is no launch: {error}"))
                continue
            try:
                reply = self._answer(request, descriptors)
            except GlassBoxError as error:
                self._channel.send(Failed(type(error).__name__, str(error)))
            except MemoryError:
                self._channel.send(Failed("LimitError", "the launch needs more memory than its limit"))
            else:
                self._channel.send(reply)

    def _answer(self, request: Request, descriptors: Sequence[int]) -> Done:
        match request:
            case CompileKernel() if request.prepared:
                self._kernels[request.number] = load_prepared(request.backend, request.prepared)
            case CompileKernel():
                module = verify(read(request.text))
                self._kernels[request.number] = compile_kernel(
                    request.backend, module, request.kernel, **request.options
                )
            case RunKernel():
                self._map(request, descriptors)
                began_ns = time.monotonic_ns()
                outcome = self._run(request)
                ended_ns = time.monotonic_ns()
                return Done(msgspec.Raw(msgspec.msgpack.encode(outcome)), began_ns, ended_ns)
        return Done()

    def _map(self, request: RunKernel, descriptors: Sequence[int]) -> None:
        for number in request.gone:
            # A back end may keep views for a while; the pages go when the last of them does.
            with contextlib.suppress(BufferError, KeyError):
                self._memory.pop(number).close()
        try:
            for (number, size), descriptor in zip(request.fresh.items(), descriptors, strict=True):
                self._memory[number] = mmap.mmap(descriptor, size)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _run(self, request: RunKernel) -> object:
        buffers = {name: self._view(operand) for name, operand in request.buffers.items()}
        launch = Launch(request.lanes, request.group, request.scalars, buffers, request.fuel, request.printed_lines)
        launch.wants_traps = request.wants_traps
        if request.part:
            launch.part = Part(*request.part, self._view(request.stop) if request.stop else None)
        return self._kernels[request.number].run(launch)

    def _view(self, operand: Operand) -> np.ndarray[Any, np.dtype[Any]]:
        return np.frombuffer(self._memory[operand.buffer], operand.dtype, operand.count, operand.offset)


def main(words: list[str]) -> None:
    """Serve the socket that the words name."""
    descriptor, parent, data_bytes, cpus = int(words[0]), int(words[1]), int(words[2]), words[3]
    die_with_parent(parent)
    if cpus:
        os.sched_setaffinity(0, {int(cpu) for cpu in cpus.split(",")})
    if data_bytes:
        # RLIMIT_AS would count the stacks and mappings of drivers too, which then fail in ways of their own.
        limit = _own_data_bytes() + data_bytes
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    Worker(Channel(socket.socket(fileno=descriptor))).serve()


def _own_data_bytes() -> int:
    """What the limit of data counts before anything was launched: Python and what it has loaded."""
    status = Path("/proc/self/status").read_text()
    (kib,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmData:")]
    return int(kib) << 10


if __name__ == "__main__":
    main(sys.argv[1:])
