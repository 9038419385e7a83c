"""The consumer's side of the trace's rings: chunks as they are in the shared file, and the dictionary.

Heads are read first, then the dictionary, then the chunks: so every id in a chunk has its record. A chunk's words are a
view of the ring, valid until the next chunk is asked for. Headers are checked, because another process writes them.

>>> rings = RingReader(control)
>>> for header, words in rings.take():
...     columns.split(words)
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tcg_plugin import layout
from tcg_plugin.layout import BlockHeader, ChunkHeader

from ...errors import TraceError
from ..file.columns import Published
from ..file.records import Records, index_records
from .control import TraceControl

MOST_IDS = 1 << 27
_HEADER_BYTES = ctypes.sizeof(ChunkHeader)
_ABSENT = np.uint64(0xFFFFFFFFFFFFFFFF)


class BlockDictionary:
    """All records that came through the dictionary's ring, by id."""

    def __init__(self) -> None:
        self._blob = np.empty(1 << 20, np.uint8)
        self._offset = np.full(1 << 14, _ABSENT, np.uint64)
        self._instructions = np.zeros(1 << 14, np.uint16)
        self.bytes = 0
        self.limit = 1
        """All ids are below it."""

    def add(self, records: npt.NDArray[np.uint8]) -> None:
        """Take in whole records; `TraceError` if they are damaged."""
        end = self.bytes + len(records)
        if end > len(self._blob):
            self._blob = np.concatenate([self._blob[: self.bytes], np.empty(max(end, len(self._blob)), np.uint8)])
        self._blob[self.bytes : end] = records
        offsets, ids, instructions = index_records(self._blob[self.bytes : end], self.bytes)
        if len(ids):
            self.limit = max(self.limit, int(ids.max()) + 1)
            if self.limit > MOST_IDS:
                raise TraceError(f"the plugin gave out id {self.limit - 1}; stop the machine and start it again")
            if self.limit > len(self._offset):
                more = max(self.limit, 2 * len(self._offset)) - len(self._offset)
                self._offset = np.concatenate([self._offset, np.full(more, _ABSENT, np.uint64)])
                self._instructions = np.concatenate([self._instructions, np.zeros(more, np.uint16)])
            self._offset[ids], self._instructions[ids] = offsets, instructions
        self.bytes = end

    def records(self) -> Records:
        """The records by id, as they are now."""
        return Records(self._blob[: self.bytes], self._offset[: self.limit], self._instructions[: self.limit])

    def find(self, block_id: int) -> BlockHeader | None:
        """The header of a record, if there is one."""
        if block_id >= self.limit or self._offset[block_id] == _ABSENT:
            return None
        start = int(self._offset[block_id])
        return BlockHeader.from_buffer_copy(self._blob[start : start + ctypes.sizeof(BlockHeader)].tobytes())

    def ids_at(self, address: int) -> npt.NDArray[np.uint32]:
        """Ids of the blocks that were first seen at linear address `address`."""
        known = np.flatnonzero(self._offset[: self.limit] != _ABSENT)
        if not len(known):
            return np.empty(0, np.uint32)
        places = self._offset[known][:, None] + np.arange(8, 16, dtype=np.uint64)
        addresses = self._blob[places].view("<u8")[:, 0]
        return np.compress(addresses == address, known).astype(np.uint32)

    def blob(self, ids: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
        """The records of `ids`, one after another; `TraceError` if one is not there."""
        if not len(ids):
            return np.empty(0, np.uint8)
        starts = self._offset[ids]
        if (starts == _ABSENT).any():
            missing = int(ids[np.argmax(starts == _ABSENT)])
            raise TraceError(f"the plugin sent no record of block {missing}; start the machine again")
        # Records are whole 64-bit words, which are fewer than bytes: those of record i are first[i] + 0, 1, … count[i] - 1.
        words, first = self._blob.view(np.uint64), (starts >> np.uint64(3)).astype(np.int64)
        count = (words[first] & np.uint64(0xFFFFFFFF)).astype(np.int64) >> 3
        ends = np.cumsum(count)
        places = np.arange(ends[-1]) + np.repeat(first - (ends - count), count)
        found: npt.NDArray[np.uint64] = words[places]
        return found.view(np.uint8)


class RingReader:
    """Drains the rings of one shared file; there may be one reader at a time."""

    def __init__(self, control: TraceControl) -> None:
        self.control = control
        self.dictionary = BlockDictionary()
        self._bytes = np.frombuffer(control.mapping, np.uint8)

    def close(self) -> None:
        """Drop the views of the mapping; may be called twice."""
        self._bytes = np.empty(0, np.uint8)

    def take(self) -> Iterator[tuple[ChunkHeader, npt.NDArray[np.uint32]]]:
        """Chunks that are there now, each freed when the next is asked for; `TraceError` if a header is inconsistent."""
        for number, (vcpu, chunks) in enumerate(zip(self.control.vcpus, self.published(), strict=False)):
            for index in range(chunks.next, chunks.head):
                place = self._ring(number) + index % chunks.chunk_count * chunks.chunk_bytes
                header = ChunkHeader.from_buffer_copy(self.control.mapping, place)
                whole = self._bytes[place + _HEADER_BYTES : place + chunks.chunk_bytes].view("<u4")
                if header.words > len(whole) or header.vcpu != number:
                    raise TraceError(f"a chunk of vCPU {number} is damaged; start the machine again")
                try:
                    yield header, whole[: header.words]
                finally:
                    vcpu.tail = index + 1

    def published(self) -> list[Published]:
        """Each vCPU's chunks that are there now, for `Columns.split_chunks`; `TraceError` if the ring is damaged."""
        heads = [int(vcpu.head) for vcpu in self.control.vcpus]
        self._take_dictionary()
        block = self.control.block
        chunk_bytes, chunks = int(block.chunk_bytes), int(block.chunks)
        if not (0 < chunk_bytes * chunks <= block.ring_stride and chunk_bytes > _HEADER_BYTES):
            return []
        found = []
        for number, (vcpu, head) in enumerate(zip(self.control.vcpus, heads, strict=True)):
            tail = int(vcpu.tail)
            if not 0 <= head - tail <= chunks:
                raise TraceError(f"the ring of vCPU {number} is damaged; start the machine again")
            place = self._bytes.ctypes.data + self._ring(number)
            tail_at = ctypes.addressof(vcpu) + type(vcpu).tail.offset
            found.append(Published(place, chunk_bytes, chunks, tail, head, tail_at, number))
        return found

    def _ring(self, number: int) -> int:
        """Where in the mapping the ring of vCPU `number` begins."""
        return int(self.control.block.rings_offset) + number * int(self.control.block.ring_stride)

    def flush(self) -> None:
        """Ask for what vCPUs have in chunks that are not full; it comes when they next idle or change chunks."""
        self.control.block.flush = (self.control.block.flush + 1) & 0xFFFFFFFF

    def is_empty(self) -> bool:
        """Whether all that was published has been taken, of the dictionary too."""
        return all(header.head == header.tail for header in (*self.control.vcpus, self.control.dictionary))

    def _take_dictionary(self) -> None:
        header, block = self.control.dictionary, self.control.block
        head, tail, size = int(header.head), int(header.tail), int(block.dictionary_bytes)
        if not 0 <= head - tail <= size:
            raise TraceError("the dictionary's ring is damaged; start the machine again")
        if head == tail:
            return
        base, start, length = int(block.dictionary_offset) + layout.PAGE_BYTES, tail % size, head - tail
        first = self._bytes[base + start : base + min(size, start + length)]
        self.dictionary.add(np.concatenate([first, self._bytes[base : base + length - len(first)]]))
        header.tail = head
