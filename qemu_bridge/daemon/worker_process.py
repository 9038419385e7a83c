"""The worker process: ``python -m qemu_bridge.daemon.worker_process``, started by `worker.Worker`.

Messages on standard input and output are MessagePack, each prefixed by its length (4 bytes, little-endian). The first is a
`Setup`; each further one is a `Question`, answered by one `Reply`.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from ..errors import GlassBoxError, GuestError, MachineError, UsageError
from ..host.logs import log_to_stderr
from ..host.parent import die_with_parent
from ..memory.addresses import PhysicalAddress, RamLayout, RamOffset, RamRegion
from ..wire import messages
from ..wire.operations import BY_NAME
from ..wire.records import Grade

logger = logging.getLogger(__name__)

LENGTH = struct.Struct("<I")
_MEMORY_BYTES = 4 << 30


class Setup(msgspec.Struct, frozen=True):
    """The RAM that the worker reads. `symbols` is a folder of kernel symbols to use instead of the shared cache.

    `kernel_note` is the physical address at which an earlier worker found the kernel, None at first. `trace_path` is the shared file of
    the trace plugin, empty without one. `caveats` hold of every answer; `is_whole` is as in `GuestRam`.
    """

    parent_pid: int
    ram_path: str
    regions: tuple[tuple[int, int, int], ...]
    page_map_path: str
    symbols: str | None
    kernel_note: int | None = None
    trace_path: str = ""
    caveats: tuple[str, ...] = ()
    is_whole: bool = False


class Question(msgspec.Struct, frozen=True):
    """An operation, its arguments as JSON, and the state of RAM when it was asked."""

    operation: str
    arguments: bytes
    grade: Grade
    epoch: int


class Reply(msgspec.Struct, frozen=True):
    """An answer as JSON with its raw frames, or the class and message of an error; and what `Setup.kernel_note` is to be next time."""

    result: bytes = b""
    frames: list[bytes] = []
    kind: str = ""
    message: str = ""
    kernel_note: int | None = None


def main() -> int:
    """Answer questions until standard input ends; return the exit status."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # What an overlay prints goes to the log, not between the answers.
    os.dup2(2, 1)
    # What an overlay starts must not read the questions.
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    log_to_stderr()
    setup = msgspec.msgpack.decode(_read(source), type=Setup)
    die_with_parent(setup.parent_pid)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answer = _open(setup)
    while text := _read(source):
        found = _answer(answer, msgspec.msgpack.decode(text, type=Question))
        reply = msgspec.msgpack.encode(msgspec.structs.replace(found, kernel_note=answer.kernel_note))
        sink.write(LENGTH.pack(len(reply)) + reply)
        sink.flush()
        # An answer may have megabytes, and the next question may come late.
        del found, reply
    return 0


def _read(source: BinaryIO) -> bytes:
    head = source.read(LENGTH.size)
    return source.read(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else b""


def _open(setup: Setup) -> Any:  # noqa: ANN401  # `Questions`; importing it loads NumPy
    from ..introspection.questions import Questions
    from ..memory.ram import GuestRam

    layout = RamLayout(tuple(RamRegion(PhysicalAddress(a), RamOffset(b), c) for a, b, c in setup.regions))
    _bound_memory(layout.size)
    if setup.symbols is not None:
        # Only its own symbols: a foreign capture's claims about a kernel must not reach other machines through the cache.
        from ..kernel.symbols import cache

        cache.read_only_in(Path(setup.symbols))
    note = None if setup.kernel_note is None else PhysicalAddress(setup.kernel_note)
    return Questions(
        GuestRam(Path(setup.ram_path), layout, is_whole=setup.is_whole),
        Path(setup.page_map_path),
        note,
        Path(setup.trace_path) if setup.trace_path else None,
        setup.caveats,
    )


def _bound_memory(ram_bytes: int) -> None:
    """Limit this process's own memory, whatever a guest makes it allocate."""
    limit = min(_MEMORY_BYTES + ram_bytes // 4, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    given = [value for value in (soft, hard) if value != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min([limit, *given]), hard))


def _answer(questions: Any, question: Question) -> Reply:  # noqa: ANN401  # as `_open`
    """The reply to a question; an exception caused by an overlay or a hostile guest becomes an error reply."""
    name = question.operation
    try:
        arguments = messages.decode_arguments(BY_NAME[name], question.arguments)
        result, frames = messages.encode_result(questions.answer(name, arguments, question.grade, question.epoch))
        return Reply(result, [bytes(frame) for frame in frames])
    except GlassBoxError as error:
        return _failed(error if isinstance(error, (GuestError, MachineError, UsageError)) else GuestError(str(error)))
    except MemoryError:
        return _failed(
            GuestError(
                f"{name} exceeded its memory budget; is the guest's RAM damaged? pause the machine and ask again"
            )
        )
    except Exception as error:
        from ..kernel.budget import OutOfBudgetError

        if isinstance(error, OutOfBudgetError):
            return _failed(GuestError(f"{name} exceeded its budget: {error}; pause the machine and ask again"))
        logger.exception("%s failed", name)
        return _failed(
            MachineError(
                f"the daemon failed to answer {name} ({type(error).__name__}: {error}); its log has the traceback"
            )
        )


def _failed(error: GlassBoxError) -> Reply:
    return Reply(kind=type(error).__name__, message=str(error).encode(errors="backslashreplace").decode())


if __name__ == "__main__":
    sys.exit(main())
