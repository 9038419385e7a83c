"""A builder: the process that reads texts of tenants, so that none of them can harm or delay who schedules.

``python -m gpu_hypervisor.admission.builder FD PARENT DATA_BYTES`` serves the socket FD until it closes.
"""

from __future__ import annotations

import os
import resource
import socket
import sys

import msgspec

from pixel_cpu.errors import GlassBoxError
from pixel_cpu.ir.limits import MAX_GROUP
from pixel_cpu.ir.model import Kernel, Module, reachable, walk
from pixel_cpu.ir.text import write
from pixel_cpu.passes.bounds import prove_bounds
from pixel_cpu.runtime import backends
from pixel_cpu.runtime.program import Program, loads
from qemu_bridge.errors import UsageError
from qemu_bridge.host.parent import die_with_parent

from .built import LENGTH, BuildRequest, Built, Failure, MemoryInfo, Reply

NICE = 5
"""Builders give way to slices."""


def build(request: BuildRequest) -> Reply:
    """Make a kernel ready, or say why it is none."""
    try:
        return _build(request)
    except GlassBoxError as error:
        return Failure.of(error)
    except RecursionError:
        return Failure("UsageError", "the text is nested too deeply; write it flatter")
    except MemoryError:
        return Failure("LimitError", "the text needs more memory than a builder has; make it smaller")


def _build(request: BuildRequest) -> Built:
    critical = False
    if request.language == "gpk":
        from pixel_cpu.frontends.primitives import compile_source  # a parser that texts of the IR do not need

        compiled = compile_source(request.text)
        program = Program(compiled.module, compiled.host)
        name = program.kernel(request.kernel).name
        critical = compiled.kernels[name].is_latency_critical
    else:
        program = loads(request.text, language=request.language)
        name = program.kernel(request.kernel).name
    kernel = program.module.kernels[name]
    if request.threads is not None and not 1 <= request.threads <= MAX_GROUP:
        raise UsageError(f"a group has 1 to {MAX_GROUP} lanes, not {request.threads}")
    group = kernel.group if request.threads is None else request.threads
    operations, loops = _cost(program.module, kernel)
    module, reports = prove_bounds(program.module, name, group=group)
    proved = sum(report.verdict.value == "proved" for report in reports)
    text = write(module)
    if request.backend == "cpu":
        # The C compiler takes longest; what it makes lies in the cache, where the tenant's worker finds it.
        backends.compile_kernel(request.backend, module, name)
    return Built(
        name,
        group,
        {name: kind.value for name, kind in kernel.scalars.items()},
        tuple(
            MemoryInfo(each.name, each.space.value, each.element.value, each.length, each.is_writable)
            for each in kernel.memories
        ),
        text,
        proved,
        len(reports) - proved,
        operations,
        loops,
        critical,
    )


def _cost(module: Module, kernel: Kernel) -> tuple[int, int]:
    """Operations and loops of a kernel and of the functions that it calls, each counted once."""
    operations = loops = 0
    for body in (kernel.body, *(function.body for function in reachable(module, kernel))):
        for op in walk(body):
            operations += 1
            loops += op.name == "loop"
    return operations, loops


def main(words: list[str]) -> None:
    """Serve the socket that the words name."""
    connection = socket.socket(fileno=int(words[0]))
    die_with_parent(int(words[1]))
    resource.setrlimit(resource.RLIMIT_DATA, (int(words[2]), int(words[2])))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(NICE)
    encoder, decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(BuildRequest)
    with connection, connection.makefile("rb") as stream:
        while head := stream.read(LENGTH.size):
            reply = encoder.encode(build(decoder.decode(stream.read(LENGTH.unpack(head)[0]))))
            connection.sendall(LENGTH.pack(len(reply)) + reply)


if __name__ == "__main__":
    main(sys.argv[1:])
