"""A reader of the plugin's rings for tests: nothing is encoded, everything stays in memory as NumPy arrays."""

from __future__ import annotations

import ctypes
import itertools
import threading
import time
from dataclasses import dataclass

import numpy as np

from qemu_bridge.trace.recording.control import TraceControl
from tcg_plugin import layout
from tcg_plugin.layout import ChunkHeader, Event


@dataclass
class Chunk:
    header: ChunkHeader
    words: np.ndarray


@dataclass
class Block:
    """One record of the dictionary."""

    id: int
    address: int
    offset: int
    offset2: int
    ring: int
    mode: int
    flags: int
    lengths: bytes
    code: bytes

    @property
    def count(self):
        return len(self.lengths)

    @property
    def starts(self):
        """Address of each instruction."""
        return [self.address + sum(self.lengths[:i]) for i in range(self.count)]

    @property
    def end(self):
        return self.address + len(self.code)


class Consumer:
    """Drains one machine's rings, when asked or all the time in a thread of its own."""

    def __init__(self, control: TraceControl, keep: bool = True, pause_s: float = 0.0) -> None:
        self.control, self.keep, self.pause_s = control, keep, pause_s
        self.memory = np.frombuffer(control.mapping, np.uint8)
        self.chunks: list[list[Chunk]] = [[] for _ in control.vcpus]
        self.records = bytearray()
        self.words = 0
        self._stop = threading.Event()

    def drain(self) -> int:
        """Take what is there; returns the number of chunks."""
        heads = [vcpu.head for vcpu in self.control.vcpus]
        self._drain_dictionary()
        block, taken = self.control.block, 0
        for number, (vcpu, head) in enumerate(zip(self.control.vcpus, heads, strict=True)):
            for index in range(vcpu.tail, head):
                place = block.rings_offset + number * block.ring_stride + index % block.chunks * block.chunk_bytes
                header = ChunkHeader.from_buffer_copy(self.memory[place : place + 64])
                if self.keep:
                    words = self.memory[place + 64 : place + 64 + 4 * header.words].view("<u4").copy()
                    self.chunks[number].append(Chunk(header, words))
                self.words += header.words
                vcpu.tail = index + 1
                taken += 1
        return taken

    def _drain_dictionary(self) -> None:
        header, block = self.control.dictionary, self.control.block
        base, size = block.dictionary_offset + layout.PAGE_BYTES, block.dictionary_bytes
        head, tail = header.head, header.tail
        if head > tail:
            places = np.arange(tail, head) & (size - 1)
            self.records += self.memory[base + places].tobytes()
            header.tail = head

    def __enter__(self):
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.is_set():
            if self.pause_s or not self.drain():
                time.sleep(self.pause_s or 0.0005)
                self.drain()
        while self.drain():
            pass

    def close(self):
        del self.memory

    def blocks(self) -> dict[int, Block]:
        """The dictionary, by id."""
        found, at = {}, 0
        while at < len(self.records):
            size, number = np.frombuffer(self.records, "<u4", 2, at)
            if number:
                header = layout.BlockHeader.from_buffer_copy(self.records, at)
                lengths_at = at + ctypes.sizeof(header)
                code_at = lengths_at + header.instructions
                found[int(number)] = Block(
                    header.id,
                    header.address,
                    header.offset,
                    header.offset2,
                    header.ring,
                    header.mode,
                    header.flags,
                    bytes(self.records[lengths_at:code_at]),
                    bytes(self.records[code_at : code_at + header.bytes]),
                )
            at += int(size)
        return found

    def stream(self, vcpu: int = 0) -> np.ndarray:
        """All words of a vCPU, after a look at sequence and flags of its chunks."""
        chunks = self.chunks[vcpu]
        for before, after in itertools.pairwise(chunks):
            if after.header.window == before.header.window:
                assert after.header.sequence == before.header.sequence + 1
        return np.concatenate([chunk.words for chunk in chunks]) if chunks else np.empty(0, "<u4")


def items(words):
    """Yield ("block", id), ("memory", meta, address, value) and ("event", type, small, payload) in order."""
    words = words.tolist()
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word >> 31 == 0:
            yield "block", word
        elif word >> 30 == layout.KIND_MEMORY:
            address = (word & 0xFFFF) << 32 | words[at]
            address |= 0xFFFF << 48 if address >> 47 else 0
            at += 1
            size = 1 << (word >> 25 & 7)
            value = None
            if word >> 28 & 1:
                count = max(1, size // 4)
                value = sum(part << 32 * i for i, part in enumerate(words[at : at + count]))
                at += count
            yield "memory", word, address, value
        else:
            length = word >> 16 & 0xFF
            yield "event", Event(word >> 24 & 0x3F), word & 0xFFFF, words[at : at + length]
            at += length


def u64(payload, at=0):
    """A 64-bit value in an event's payload."""
    return layout.join_64(payload, at)


def block_ids(words):
    """The ids in `words`, without what lies between them. For streams without memory accesses, in NumPy."""
    mask, behind = np.ones(len(words), bool), 0
    for at in np.flatnonzero(words >> 31).tolist():
        # Words of a payload may look like events.
        if at >= behind:
            behind = at + 1 + (int(words[at]) >> 16 & 0xFF)
            mask[at:behind] = False
    return words[mask]


FAULTS = frozenset(range(32)) - {1, 2, 3, 4, 9}
"""Vectors that point at the instruction that could not be finished; all others point behind a finished one."""


def index_in(block, address):
    """Number of the instruction of `block` at `address`, None if there is none; by page offset, see CODE_PAGE."""
    offsets = [start & 0xFFF for start in block.starts]
    inside = (address - block.address) & 0xFFF < len(block.code)
    return offsets.index(address & 0xFFF) if inside and address & 0xFFF in offsets else None


def begun_instructions(words, blocks):
    """How many instructions began: every block's, less what followed where it was cut (docs/trace.md, early ends)."""
    size = max(blocks, default=0) + 1
    count, start, length = (np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.int64))
    for block in blocks.values():
        count[block.id], start[block.id], length[block.id] = block.count, block.address & 0xFFF, len(block.code)
    is_id, behind, cut, whole = np.ones(len(words), bool), 0, {}, set()
    last = None
    for at in np.flatnonzero(words >> 31).tolist():
        if at < behind:
            continue
        word = int(words[at])
        behind = at + 1 + (word >> 16 & 0xFF)
        is_id[at:behind] = False
        payload = words[at + 1 : behind].tolist()
        # The id that the event follows lies right before it, or before the event that it follows.
        last = at - 1 if at and is_id[at - 1] else last
        kind = word >> 24 & 0x3F
        if last is None:
            continue
        block = blocks[int(words[last])]
        if kind == Event.BLOCK_END:
            whole.add(last)
        elif kind == Event.IO_DONE or (kind == Event.EXCEPTION and word & 0xFFFF in FAULTS):
            # Interrupts come between blocks, so they cut nothing; nor does a page fault while code is fetched.
            index = index_in(block, u64(payload))
            fetch = kind == Event.EXCEPTION and word & 0xFFFF == 14 and payload[2] & 16
            if index is not None and not fetch:
                cut.setdefault(last, index + 1)
    places = np.flatnonzero(is_id)
    ids = words[places]
    before, after = ids[:-1], ids[1:]
    again = (count[after] == 1) & (count[before] > 1) & ((start[after] - start[before]) & 0xFFF < length[before])
    for index in np.flatnonzero(again).tolist():
        place = int(places[index])
        block = blocks[int(before[index])]
        found = index_in(block, blocks[int(after[index])].address)
        same_page = block.offset >> 12 == blocks[int(after[index])].offset >> 12 or block.offset == layout.NO_OFFSET
        if place not in whole and found is not None and same_page:
            cut.setdefault(place, found + 1)
    total = int(count[ids].sum())
    return total - sum(blocks[int(words[place])].count - begun for place, begun in cut.items())
