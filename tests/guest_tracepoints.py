"""The guest kernel's own record of system calls (its tracepoints ``raw_syscalls``), for comparison with a trace from outside."""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass

FOLDER = "/sys/kernel/tracing"
EVENTS = f"{FOLDER}/events/raw_syscalls/enable"
_HERE = "here is the trace"
_LINE = re.compile(r".*-(\d+)\s+\[\d+\] .*: sys_(enter|exit): NR (-?\d+) (?:\((.*)\)|= (-?\d+))")


@dataclass
class Told:
    """A system call of thread `tid`, as the kernel tells it; `result` is None while it has not returned."""

    tid: int
    number: int
    arguments: tuple[int, ...]
    result: int | None = None


def told_during(machine, script: str) -> tuple[str, list[Told]]:
    """What the shell script printed, and what the kernel wrote down of every system call meanwhile, in the order in which they began."""
    output = machine.exec(
        f"mkdir -p {FOLDER}; mount -t tracefs t {FOLDER}; echo 8192 >{FOLDER}/buffer_size_kb; echo >{FOLDER}/trace; echo 1 >{EVENTS}\n"
        f"{script}\necho 0 >{EVENTS}; echo {_HERE}; gzip -1c {FOLDER}/trace; echo >{FOLDER}/trace; umount {FOLDER}"
    )
    printed, _, packed = output.partition(f"{_HERE}\n".encode())
    return printed.decode(), _parse(gzip.decompress(packed).decode(errors="replace"))


def _parse(text: str) -> list[Told]:
    told: list[Told] = []
    running: dict[int, Told] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        tid, number = int(match[1]), int(match[3])
        if match[2] == "enter":
            running[tid] = Told(tid, number, tuple(int(word, 16) for word in match[4].split(", ")))
            told.append(running[tid])
        elif tid in running:
            running.pop(tid).result = int(match[5])
    return told
