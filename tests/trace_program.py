"""A program of blocks that really jump to one another, and a walk through it: a trace whose truth is known."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
from trace_producer import ChunkFlag, Producer, record, window_start, window_stop

from qemu_bridge.errors import HostError
from qemu_bridge.trace.recording.recorder import Recorder

BASE = 0xFFFFFFFF81000000
SIZE = 16
LENGTHS = [1] * 10 + [6]
"""Ten times nop, then je to another block."""


class Program:
    """`count` blocks with ids from 1 on, one behind the other; each goes on at the next or at its target, which may be given."""

    def __init__(self, count: int = 300, seed: int = 7, jumps: dict[int, int] | None = None) -> None:
        self.random = np.random.default_rng(seed)
        self.count = count
        self.targets = self.random.integers(0, count, count)
        for block_id, target in (jumps or {}).items():
            self.targets[block_id - 1] = target - 1
        ids = range(1, count + 1)
        self.records = b"".join(record(number, self.address(number), self.code(number), LENGTHS) for number in ids)

    def code(self, block_id: int) -> bytes:
        distance = (int(self.targets[block_id - 1]) - block_id) * SIZE
        return b"\x90" * 10 + b"\x0f\x84" + distance.to_bytes(4, "little", signed=True)

    def address(self, block_id: int) -> int:
        return BASE + (block_id - 1) * SIZE

    def walk(self, length: int, bias: float = 0.9) -> np.ndarray:
        """Ids of `length` blocks, each a successor of the one before."""
        jumps = self.random.random(length) < bias
        ids, here = np.empty(length, np.uint32), 0
        for step in range(length):
            ids[step] = here + 1
            here = int(self.targets[here]) if jumps[step] or here + 1 == self.count else here + 1
        return ids


def record_words(
    folder: Path, program: Program, words, frame_blocks: int = 1000, vcpus: int = 1, in_turns: bool = False, **about
) -> Path:
    """Pieces of words (a piece is a chunk; one list for all vCPUs, or a list for each) through real rings into a file.

    All of one vCPU come before those of the next, or else a piece of each `in_turns`.
    """
    folder.mkdir(exist_ok=True)
    producer = Producer(folder, vcpus=vcpus, chunk_bytes=16384, chunks=4)
    recorder = Recorder(producer.control, folder / "trace.gbt", {"features": 3, **about}, frame_blocks)
    try:
        _feed(producer, recorder, program, words if vcpus > 1 else [words], in_turns)
        recorder.finish()
    except HostError:
        with contextlib.suppress(HostError):
            recorder.finish()
        raise
    finally:
        recorder.abandon()
        # The traceback of an error holds views of the mapping.
        with contextlib.suppress(BufferError):
            producer.close()
    return folder / "trace.gbt"


def _feed(producer, recorder, program, streams, in_turns):
    producer.publish(program.records)
    order = [
        (number if in_turns else 0, vcpu, number) for vcpu, own in enumerate(streams) for number in range(len(own))
    ]
    for _, vcpu, number in sorted(order):
        last = len(streams[vcpu]) - 1
        flags = (ChunkFlag.FIRST if number == 0 else 0) | (ChunkFlag.LAST if number == last else 0)
        producer.put(streams[vcpu][number], vcpu, flags)
        recorder.step()
    producer.end()
    assert recorder.is_over


def pieces_of(ids, size: int = 700, counter: int = 0):
    """Chunks of a window that holds `ids` and nothing else."""
    parts = [ids[start : start + size].tolist() for start in range(0, len(ids), size)]
    return [window_start(), *parts[:-1], parts[-1] + window_stop(counter)]
