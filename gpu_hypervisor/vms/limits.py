"""What the commands of a process VM may have."""

from __future__ import annotations

import os

import msgspec

from qemu_bridge.errors import UsageError

LEAST_BYTES = 1 << 20
MOST_PROCESSES = 4096
_MOST_CORES = 1 << 16


class VmLimits(msgspec.Struct, frozen=True):
    """`cores` are numbers of processors, none for all of this host; `memory_bytes` and `processes` are of all commands together."""

    cores: tuple[int, ...] = ()
    memory_bytes: int = 1 << 30
    processes: int = 256

    def checked(self) -> VmLimits:
        """These limits; `UsageError` for what this host does not have, or nothing runs in."""
        here = os.sched_getaffinity(0)
        if missing := sorted(set(self.cores) - here):
            raise UsageError(
                f"there is no processor {missing[0]}; this host has {', '.join(map(str, sorted(here)))} for you"
            )
        if self.memory_bytes < LEAST_BYTES:
            raise UsageError(f"a VM has {LEAST_BYTES >> 20} MiB of memory or more, not {self.memory_bytes} bytes")
        if not 1 <= self.processes <= MOST_PROCESSES:
            raise UsageError(f"a VM has 1 to {MOST_PROCESSES} processes, not {self.processes}")
        return self


def parse_cores(text: str) -> tuple[int, ...]:
    """Numbers of processors, from text such as ``0-1,4``; `UsageError` for other text."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not (first.isdecimal() and (last.isdecimal() or not dash)):
            raise UsageError(f"{text!r} names no processors; write 0-1 or 0,2")
        if int(last or first) >= _MOST_CORES:
            raise UsageError(f"{text!r} names no processors: there is no processor {last or first}")
        found += range(int(first), int(last or first) + 1)
    if not found:
        raise UsageError(f"{text!r} names no processors; the lower number comes first")
    return tuple(sorted(set(found)))
