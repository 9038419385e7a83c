"""The plugin's side of the rings, slowly, in Python: words and records from anywhere into a real shared file."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path

import numpy as np

from qemu_bridge.memory.addresses import RamLayout
from qemu_bridge.trace.recording import control
from qemu_bridge.trace.recording.control import TraceControl
from qemu_bridge.wire.trace_records import ArmOptions
from tcg_plugin import layout
from tcg_plugin.layout import BlockHeader, ChunkFlag, ChunkHeader, Event, State, event_word
from tcg_plugin.layout import split_64 as split64


def event(kind, *payload, small=0):
    """Words of an event."""
    return [event_word(kind, len(payload), small), *payload]


def window_start(counter=0, root=0x1000):
    return event(Event.WINDOW_START, *split64(1), *split64(root), *split64(counter), 3, 3)


def window_stop(counter=0):
    return event(Event.WINDOW_STOP, *split64(2), *split64(counter))


def record(number, address, code, lengths, offset=layout.NO_OFFSET, ring=0, mode=64, flags=0):
    """A dictionary record."""
    header = BlockHeader()
    header.id, header.address, header.offset, header.offset2 = number, address, offset, layout.NO_OFFSET
    header.instructions, header.bytes, header.ring, header.mode = len(lengths), len(code), ring, mode
    header.flags = flags
    body = bytes(lengths) + bytes(code)
    body += bytes(-len(body) % 8)
    header.size = ctypes.sizeof(header) + len(body)
    return bytes(header) + body


class Producer:
    """A shared file of its own, armed, and the means to fill its rings."""

    def __init__(self, folder: Path, vcpus: int = 1, **options: int) -> None:
        ram = folder / "ram"
        ram.write_bytes(b"")
        self.path = folder / "rings"
        control.create(self.path, vcpus, ram, RamLayout.from_rule("pc", 1 << 20))
        self.control = TraceControl(self.path)
        self.control.want(ArmOptions(**options), os.getpid())
        block = self.control.block
        block.state, block.acknowledged, block.plugin_pid = State.ARMED, block.generation, os.getpid()
        self.chunk_bytes, self.chunks = int(block.chunk_bytes), int(block.chunks)
        self.memory = np.frombuffer(self.control.mapping, np.uint8)
        self.sequence = [0] * vcpus

    def publish(self, records: bytes) -> None:
        """Put whole records into the dictionary's ring."""
        header, block = self.control.dictionary, self.control.block
        places = (int(header.head) + np.arange(len(records))) % int(block.dictionary_bytes)
        base = int(block.dictionary_offset) + layout.PAGE_BYTES
        self.memory[base + places] = np.frombuffer(records, np.uint8)
        header.head += len(records)

    def put(self, words, vcpu: int = 0, flags: int = 0, **fields: int) -> None:
        """Publish a chunk."""
        words = np.asarray(words, np.uint32)
        header, block = self.control.vcpus[vcpu], self.control.block
        assert header.head - header.tail < self.chunks and 64 + 4 * len(words) <= self.chunk_bytes
        place = int(block.rings_offset + vcpu * block.ring_stride) + int(header.head) % self.chunks * self.chunk_bytes
        chunk = ChunkHeader()
        chunk.sequence, chunk.time_ns, chunk.words, chunk.flags = self.sequence[vcpu], time.time_ns(), len(words), flags
        chunk.vcpu, chunk.window = vcpu, 1
        for name, value in fields.items():
            setattr(chunk, name, value)
        self.memory[place : place + 64] = np.frombuffer(bytes(chunk), np.uint8)
        self.memory[place + 64 : place + 64 + 4 * len(words)] = words.view(np.uint8)
        self.sequence[vcpu] += 1
        header.head += 1

    def end(self) -> None:
        """Disarmed."""
        self.control.block.state = State.DISARMED

    def close(self) -> None:
        del self.memory
        self.control.close()


__all__ = ["ChunkFlag", "Event", "Producer", "event", "record", "split64", "window_start", "window_stop"]
