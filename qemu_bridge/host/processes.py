"""What processes of this host use: processor time, memory. From ``/proc``, of one's own processes."""

from __future__ import annotations

import contextlib
import ctypes
import re
import time
from pathlib import Path

_SCHEDULED = 2
"""CPUCLOCK_SCHED of the kernel's ``posix-timers.h``: the time that a process ran."""
_OWN_MEMORY = re.compile(rb"^(?:RssAnon|RssFile):\s+(\d+) kB", re.MULTILINE)


def cpu_seconds(pid: int) -> float | None:
    """Processor time of process `pid` and all its threads so far, in seconds; None where there is no such process."""
    try:
        # The number of another process's clock, as clock_getcpuclockid(3) makes it.
        return time.clock_gettime(~pid << 3 | _SCHEDULED)
    except OSError:
        return None


def private_bytes(pid: int) -> int:
    """Resident memory of process `pid` without the shared memory that it maps, in bytes; 0 where there is no such process."""
    try:
        text = Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return 0
    return sum(int(size) for size in _OWN_MEMORY.findall(text)) << 10


def give_back_memory() -> None:
    """Give memory that was freed back to the system, in under a millisecond; without effect unless the C library is glibc.

    By itself it keeps what lies below anything that is still used, hundreds of MiB after large replies.
    """
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
