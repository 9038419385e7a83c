"""Basic-block vectors for SimPoint: a line for each interval of `INTERVAL` instructions, ``T:BLOCK:COUNT :BLOCK:COUNT …``.

A count is executions of the block times its instructions (Sherwood and others, ASPLOS 2002), here those that began, so all
counts add up to the instructions of the trace. A block belongs to the interval in which it began; block ids count from 1.
With several vCPUs there is a file for each, as SimPoint wants a file for each thread: ``OUTPUT.0``, ``OUTPUT.1`` …
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..analysis.naming import Naming
from ..file.reader import TraceReader

INTERVAL = 10_000_000


def write(trace: TraceReader, output: Path, naming: Naming, interval: int = INTERVAL) -> None:
    """Write the vectors of `trace` into new files."""
    for vcpu in range(trace.vcpus):
        path = output if trace.vcpus == 1 else output.with_name(f"{output.name}.{vcpu}")
        with open(path, "xb") as file:
            _write_vcpu(trace, vcpu, file, interval)


def _write_vcpu(trace: TraceReader, vcpu: int, file: BinaryIO, interval: int) -> None:
    held: dict[int, int] = {}
    current = 0
    for frame in trace.frames():
        numbers, begun = frame.numbers(vcpu), frame.instructions(vcpu)
        if not len(numbers):
            continue
        start = np.cumsum(begun, dtype=np.int64) - begun + int(frame.vcpu(vcpu)["first_instruction"])
        first, last = int(start[0]) // interval, int(start[-1]) // interval
        edges = np.searchsorted(start, np.arange(first, last + 2, dtype=np.int64) * interval)
        edges[0] = 0
        ids = frame.dictionary.ids.tolist()
        for number, low, high in zip(range(first, last + 1), edges[:-1], edges[1:], strict=True):
            if number != current:
                _write_line(file, held)
                held, current = {}, number
            # A weight of float64 is exact up to 2^53 instructions.
            sums = np.bincount(numbers[low:high], begun[low:high], len(ids))
            for index in np.flatnonzero(sums).tolist():
                held[ids[index]] = held.get(ids[index], 0) + int(sums[index])
    _write_line(file, held)


def _write_line(file: BinaryIO, counts: dict[int, int]) -> None:
    if counts:
        words = " ".join(f":{block}:{count}" for block, count in sorted(counts.items()))
        file.write(f"T{words}\n".encode())
