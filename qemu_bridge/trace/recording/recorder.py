"""Rings in, ``.gbt`` out: the process that keeps up with the guest.

Each chunk is taken apart, predicted and counted while it lies in the cache; a frame is compressed and written after
`FRAME_BLOCKS`, in a thread of its own. The last block of a chunk is held back until its successor is known, because only that tells
whether it ran to its end: so a frame's instruction counts are final when it is written.

>>> recorder = Recorder(control, Path("boot.gbt"), {"machine": "demo"})
>>> while not recorder.is_over:
...     recorder.step()
>>> recorder.finish()
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tcg_plugin.layout import NO_OFFSET, BlockFlag, ChunkFlag, ChunkHeader, Event

from ...errors import GlassBoxError, HostError
from ..file.codec import (
    NONE,
    AccessEncoder,
    BlockEncoder,
    BlockStream,
    Columns,
    EventList,
    begun_instructions,
    encode_ascending,
)
from ..file.format import ACCESS_SECTIONS, CHUNK, HOME, VCPU, Content, Section, TraceWriter
from .control import TraceControl
from .ring import RingReader

FRAME_BLOCKS = 8 << 20
FRAME_ITEMS = 16 << 20
"""A frame also ends after so many accesses and words of events."""
_LAST = int(ChunkFlag.LAST)
_DIGEST_IDS = 1 << 17
"""Chunks are counted and predicted together up to so many blocks: each call costs as much as thousands of them."""
POLL_S = 0.0005
_FLUSH_S = 0.25
_FRAME_S = 10.0
"""A slow trace's frame is written after this long, so that little is lost with a recorder that is killed."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a recording is: sums over all vCPUs since it began."""

    seconds: float
    blocks: int
    instructions: int
    accesses: int
    file_bytes: int
    frames: int
    waits: int
    wait_s: float
    lost_chunks: int
    lost_words: int


class _Vcpu:
    """What one vCPU has brought to the frame that is being filled."""

    def __init__(self, number: int, encoder: BlockEncoder) -> None:
        self.number = number
        self.stream, self.accesses = BlockStream(encoder), AccessEncoder()
        self.columns = Columns(1 << 17)
        self.first_block = self.first_instruction = 0
        self.root, self.homes = 0, dict[int, int]()
        self.before: int | None = None
        self.before_address = 0
        self.last: int | None = None
        self.begin_frame()

    def begin_frame(self) -> None:
        self.blocks = self.instructions = 0
        self.first_root, self.first_homes = self.root, dict(self.homes)
        self.chunks: list[bytes] = []
        self.event_words: list[npt.NDArray[np.uint32]] = []
        self.event_at: list[npt.NDArray[np.uint32]] = []
        self.roots = [self.root]
        self.event_items = 0
        self.stream.begin_frame()
        self.accesses.begin_frame(int(self.columns.ids[0]) if self.columns.id_count else 0)

    @property
    def items(self) -> int:
        """Accesses and words of events."""
        return self.event_items + self.accesses.count


class Recorder:
    """Drains the rings of one machine into a file; one thread, bounded memory."""

    def __init__(
        self,
        control: TraceControl,
        path: Path,
        about: Mapping[str, Any],
        frame_blocks: int = FRAME_BLOCKS,
        until_address: int | None = None,
    ) -> None:
        """Begin the file at `path`; errors are those of `TraceWriter`.

        `has_reached` becomes true when a block that starts at `until_address` has come.
        """
        self.has_reached = False
        self._until, self._until_ids, self._until_seen = until_address, np.empty(0, np.uint32), 0
        self.control, self.rings = control, RingReader(control)
        self.writer = TraceWriter(path, len(control.vcpus), about, time.time_ns())
        self.frame_blocks = frame_blocks
        # A frame is compressed while the next is filled: else the guest would wait for the milliseconds that takes.
        self._pool = ThreadPoolExecutor(1, "trace-frame")
        self._writing: Future[None] | None = None
        self._is_broken = False  # a frame could not be written, so none may follow
        self._encoder = BlockEncoder()
        self._vcpus = [_Vcpu(number, self._encoder) for number in range(len(control.vcpus))]
        self._begun = self._flushed = time.monotonic()
        self._total_blocks = self._total_instructions = self._total_accesses = 0
        self._frame_begun = self._begun
        # A window that is open already is this recording's; earlier ones are not.
        self._before = (0, 0, 0, 0) if control.is_armed else self._counters()

    @property
    def progress(self) -> Progress:
        """How far it is."""
        waits, wait_ns, lost_chunks, lost_words = (
            now - before for now, before in zip(self._counters(), self._before, strict=True)
        )
        return Progress(
            seconds=time.monotonic() - self._begun,
            blocks=self._total_blocks + sum(vcpu.blocks for vcpu in self._vcpus),
            instructions=self._total_instructions + sum(vcpu.instructions for vcpu in self._vcpus),
            accesses=self._total_accesses + sum(vcpu.accesses.count for vcpu in self._vcpus),
            file_bytes=self.writer.size,
            frames=self.writer.frames,
            waits=waits,
            wait_s=wait_ns / 1e9,
            lost_chunks=lost_chunks,
            lost_words=lost_words,
        )

    def _counters(self) -> tuple[int, int, int, int]:
        """Waits, their ns, chunks and words lost: sums over all vCPUs and windows."""
        waits, wait_ns, chunks, words = (
            sum(int(getattr(vcpu, name)) for vcpu in self.control.vcpus)
            for name in ("waits", "wait_ns", "lost_chunks", "lost_words")
        )
        return waits, wait_ns, chunks, words

    @property
    def is_over(self) -> bool:
        """Whether the window was open and is closed, and all of it has been taken."""
        control = self.control
        alive = control.block.plugin_pid == 0 or _is_alive(int(control.block.plugin_pid))
        armed = alive and (control.is_armed or not control.is_acknowledged)
        return not armed and self.rings.is_empty()

    def step(self, wait_s: float = POLL_S) -> int:
        """Take what is there, or wait a moment; returns the number of chunks taken."""
        taken = 0
        for header, words in self.rings.take():
            self._take(header, words)
            taken += 1
        if taken:
            for vcpu in self._vcpus:
                self._digest(vcpu, final=False)
            self._end_full_frame()
        if not taken:
            if time.monotonic() - self._flushed > _FLUSH_S:
                self.rings.flush()
                self._flushed = time.monotonic()
            time.sleep(wait_s)
        if time.monotonic() - self._frame_begun > _FRAME_S:
            self._write_frame()
        return taken

    def finish(self) -> Progress:
        """Write what is left and the index. Returns the sums; after a frame that did not fit only the index is tried."""
        try:
            if not self.writer.is_closed:
                if not self._is_broken:
                    for vcpu in self._vcpus:
                        self._digest(vcpu, final=True)
                    self._write_frame()
                    self._wait()
                done = self.progress
                self.writer.close({**_as_dict(done), "error": self.control.error})
            return self.progress
        except GlassBoxError:
            self.abandon()
            raise
        finally:
            self._pool.shutdown()
            self.rings.close()

    def abandon(self) -> None:
        """Let go of everything; the file has the frames that were written, and no index."""
        self._pool.shutdown()
        self.writer.abandon()
        self.rings.close()

    def _take(self, header: ChunkHeader, words: npt.NDArray[np.uint32]) -> None:
        vcpu = self._vcpus[header.vcpu]
        self._encoder.reserve(self.rings.dictionary.limit)
        columns = vcpu.columns
        columns.reserve(len(words))
        columns.base = vcpu.blocks
        vcpu.accesses.reserve(self._encoder.limit)
        first, known = vcpu.first_block + vcpu.blocks + columns.id_count, columns.id_count
        vcpu.chunks.append(bytes(header) + first.to_bytes(8, "little"))
        columns.split(words, vcpu.accesses)
        if self._until is not None and not self.has_reached:
            self._look_for(columns.ids[known : columns.id_count])
        is_last = bool(header.flags & _LAST)
        if is_last or columns.id_count >= _DIGEST_IDS or vcpu.items >= FRAME_ITEMS:
            self._digest(vcpu, final=is_last)
            self._end_full_frame()

    def _end_full_frame(self) -> None:
        blocks, items = (sum(getattr(vcpu, name) for vcpu in self._vcpus) for name in ("blocks", "items"))
        if blocks >= self.frame_blocks or items >= FRAME_ITEMS:
            self._write_frame()

    def _look_for(self, ids: npt.NDArray[np.uint32]) -> None:
        dictionary = self.rings.dictionary
        if dictionary.limit != self._until_seen:
            self._until_seen = dictionary.limit
            self._until_ids = dictionary.ids_at(self._until or 0)
        self.has_reached = bool(np.isin(ids, self._until_ids).any())

    def _digest(self, vcpu: _Vcpu, final: bool) -> None:
        """Encode and count what the columns hold, but for a block whose successor is not known unless `final`."""
        columns = vcpu.columns
        ids = columns.ids[: columns.id_count]
        done = len(ids) if final else max(0, len(ids) - 1)
        last = vcpu.blocks + done
        events = int(np.searchsorted(columns.event_at[: columns.event_count], last, "right"))
        if final:
            events = columns.event_count
        elif not len(ids):
            return
        words_end = int(columns.event_offset[events]) if events < columns.event_count else columns.event_word_count
        listed = EventList(columns.event_at[:events], columns.event_offset[:events], columns.event_words[:words_end])
        following = int(ids[done]) if done < len(ids) else NONE
        if done:
            vcpu.instructions += begun_instructions(
                self.rings.dictionary.records(), ids[:done], following, listed, vcpu.blocks
            )
            vcpu.stream.append(ids[:done])
            vcpu.last = int(ids[done - 1])
        if events:
            vcpu.event_at.append(listed.at.copy())
            vcpu.event_words.append(listed.words.copy())
            vcpu.event_items += len(listed.words)
            _follow(vcpu, listed)
        vcpu.blocks += done
        columns.drop(done, events, words_end)

    def _write_frame(self) -> None:
        """Write the frame and begin the next, into which what is held back goes."""
        self._frame_begun = time.monotonic()
        if not any(vcpu.chunks for vcpu in self._vcpus):
            return
        contents: list[Content] = []
        for vcpu in self._vcpus:
            contents += self._vcpu_contents(vcpu)
        ids = self._encoder.order.copy()
        blob = self.rings.dictionary.blob(ids)
        contents.insert(0, Content(Section.DICTIONARY, 0, blob, len(ids), level=3))
        blocks, instructions = (sum(getattr(v, n) for v in self._vcpus) for n in ("blocks", "instructions"))
        write = functools.partial(
            self.writer.write_frame,
            contents,
            np.concatenate([np.array(vcpu.roots, np.uint64) for vcpu in self._vcpus]),
            ids,
            blocks=blocks,
            first_instruction=self._total_instructions,
            instructions=instructions,
            time_ns=min(ChunkHeader.from_buffer_copy(vcpu.chunks[0]).time_ns for vcpu in self._vcpus if vcpu.chunks),
        )
        self._submit(write)
        self._total_blocks += blocks
        self._total_instructions += instructions
        self._total_accesses += sum(vcpu.accesses.count for vcpu in self._vcpus)
        self._encoder.begin_frame()
        for vcpu in self._vcpus:
            vcpu.first_block += vcpu.blocks
            vcpu.first_instruction += vcpu.instructions
            if vcpu.last is not None:
                vcpu.before, vcpu.before_address = vcpu.last, self._address_of(vcpu, vcpu.last)
            vcpu.columns.rebase(vcpu.blocks)
            vcpu.begin_frame()

    def _submit(self, write: Callable[[], None]) -> None:
        """Have the other thread write a frame, once the frame before is written; raises what that raised."""
        self._wait()
        self._writing = self._pool.submit(write)

    def _wait(self) -> None:
        writing, self._writing = self._writing, None
        if writing is None:
            return
        try:
            writing.result()
        except HostError:
            self._is_broken = True
            raise

    def _address_of(self, vcpu: _Vcpu, block_id: int) -> int:
        """Where a block that ran last did so: user code and early kernel code may have moved (GB_EVENT_CODE_PAGE in trace_abi.h)."""
        record = self.rings.dictionary.find(block_id)
        if record is None:
            return 0
        is_movable = (record.ring == 3 or record.flags & BlockFlag.MOVABLE) and record.offset != NO_OFFSET
        home = vcpu.homes.get(record.offset >> 12) if is_movable else None
        return int(record.address) if home is None else (home << 12 | record.offset & 0xFFF) & (1 << 64) - 1

    def _vcpu_contents(self, vcpu: _Vcpu) -> list[Content]:
        number, columns = vcpu.number, vcpu.columns
        row = np.zeros(1, VCPU)
        for name in ("blocks", "first_block", "instructions", "first_instruction"):
            row[name] = getattr(vcpu, name)
        row["root"] = vcpu.first_root
        row["following"] = self._encoder.number(int(columns.ids[0])) if columns.id_count else NONE
        row["before"] = NONE if vcpu.before is None else self._encoder.number(vcpu.before)
        row["before_address"] = 0 if vcpu.before is None else vcpu.before_address
        runs, misses = vcpu.stream.finish()
        at = np.concatenate([*vcpu.event_at, np.empty(0, np.uint32)])
        words = np.concatenate([*vcpu.event_words, np.empty(0, np.uint32)])
        homes = np.zeros(len(vcpu.first_homes), HOME)
        homes["page"], homes["home"] = list(vcpu.first_homes), list(vcpu.first_homes.values())
        chunks = np.frombuffer(b"".join(vcpu.chunks), CHUNK)
        contents = [
            Content(Section.VCPU, number, row, 1),
            Content(Section.RUNS, number, runs.copy(), vcpu.blocks),
            Content(Section.MISSES, number, misses.copy(), len(misses)),
            Content(Section.CHUNKS, number, chunks, len(chunks)),
            Content(Section.EVENTS, number, words, len(at)),
            Content(Section.EVENT_AT, number, encode_ascending(at), len(at)),
            Content(Section.HOMES, number, np.sort(homes, order="page"), len(homes)),
        ]
        count, coded = vcpu.accesses.count, vcpu.accesses.finish()
        if count:
            # Copied, for another thread compresses them while these grow anew.
            items = (count, len(coded.metas), count, len(coded.value_runs), len(coded.values))
            contents += [
                Content(kind, number, stream.copy(), some)
                for kind, stream, some in zip(ACCESS_SECTIONS, coded, items, strict=True)
            ]
        return contents


def _follow(vcpu: _Vcpu, events: EventList) -> None:
    """Keep up with page-table roots and with where code pages are, for the beginning of the next frame."""
    words = events.words
    kinds = words[events.offset] >> 24 & 0x3F
    # With a member of an enumeration NumPy would compare in 64 bits, and slowly.
    chosen = events.offset[
        (kinds == int(Event.PAGE_TABLE)) | (kinds == int(Event.CODE_PAGE)) | (kinds == int(Event.WINDOW_START))
    ]
    for offset, head in zip(chosen.tolist(), words[chosen].tolist(), strict=True):
        payload = words[offset + 1 : offset + 1 + (head >> 16 & 0xFF)].tolist()
        kind = head >> 24 & 0x3F
        if kind == Event.CODE_PAGE and len(payload) >= 3:
            vcpu.homes[payload[0]] = payload[1] | payload[2] << 32
        elif kind == Event.PAGE_TABLE and len(payload) >= 2:
            vcpu.root = payload[0] | payload[1] << 32
            vcpu.roots.append(vcpu.root)
        elif kind == Event.WINDOW_START and len(payload) >= 4:
            vcpu.root = payload[2] | payload[3] << 32
            vcpu.roots.append(vcpu.root)


def _as_dict(progress: Progress) -> dict[str, Any]:
    return {name: getattr(progress, name) for name in Progress.__dataclass_fields__}


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
