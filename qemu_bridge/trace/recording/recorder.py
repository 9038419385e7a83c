"""Drains the rings of a machine into a ``.gbt`` file while the guest runs.

Chunks are split, encoded and counted while they are in the cache (`vcpu`); a frame is compressed and written after
`FRAME_BLOCKS`, in a thread of its own. A frame's instruction counts are final when it is written.

>>> recorder = Recorder(control, Path("boot.gbt"), {"machine": "demo"})
>>> while not recorder.is_over:
...     recorder.step()
>>> recorder.finish()
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from tcg_plugin.layout import Stop

from ...errors import GlassBoxError, HostError
from ...wire.trace_records import Progress
from ..file.block_stream import BlockEncoder
from ..file.columns import Published
from ..file.format import Content, Section
from ..file.writer import TraceWriter
from .control import TraceControl, is_alive
from .ring import RingReader
from .vcpu import VcpuFrame

FRAME_BLOCKS = 8 << 20
FRAME_ITEMS = 16 << 20
"""A frame also ends after so many accesses and words of events."""
_DIGEST_IDS = 1 << 17
"""Blocks are counted and encoded when so many wait, or when no chunk does: each call costs as much as thousands of them."""
POLL_S = 0.0005
_FLUSH_S = 0.25
_FRAME_S = 10.0
"""A slow trace's frame is written after this long, so that little is lost with a recorder that is killed."""


class Recorder:
    """Drains the rings of one machine into a file; one thread, bounded memory."""

    def __init__(
        self,
        control: TraceControl,
        path: Path,
        about: Mapping[str, object],
        frame_blocks: int = FRAME_BLOCKS,
        until_address: int | None = None,
        more: Sequence[Content] = (),
    ) -> None:
        """Begin the file at `path`, whose first frame has `more` sections; errors are those of `TraceWriter`.

        `has_reached` becomes true when a block that starts at `until_address` has come.
        """
        self.has_reached = False
        self._until, self._until_ids, self._until_seen = until_address, np.empty(0, np.uint32), 0
        self.control, self.rings = control, RingReader(control)
        self.writer = TraceWriter(path, len(control.vcpus), about, time.time_ns())
        self.frame_blocks = frame_blocks
        self._more: Sequence[Content] = more
        # A frame is compressed while the next is filled: else the guest would wait for the milliseconds that takes.
        self._pool = ThreadPoolExecutor(1, "trace-frame")
        self._writing: Future[None] | None = None
        self._is_broken = False  # a frame could not be written, so none may follow
        self._encoder = BlockEncoder()
        dictionary = self.rings.dictionary
        self._vcpus = [VcpuFrame(number, self._encoder, dictionary) for number in range(len(control.vcpus))]
        self._is_digested = True  # no chunk came since all blocks were counted
        self._begun = self._flushed = time.monotonic()
        self._total_blocks = self._total_instructions = self._total_accesses = 0
        self._frame_begun = self._begun
        # A window that is open already is this recording's; earlier ones are not.
        self._before = (0, 0, 0, 0) if control.is_armed else self._counters()

    @property
    def progress(self) -> Progress:
        """The sums so far."""
        waits, wait_ns, lost_chunks, lost_words = (
            now - before for now, before in zip(self._counters(), self._before, strict=True)
        )
        return Progress(
            seconds=time.monotonic() - self._begun,
            blocks=self._total_blocks + sum(vcpu.blocks for vcpu in self._vcpus),
            instructions=self._total_instructions + sum(vcpu.instructions for vcpu in self._vcpus),
            accesses=self._total_accesses + sum(vcpu.accesses for vcpu in self._vcpus),
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
        # Asked after each step, so that the system calls come last; and the rings again, for a window leaves words when it closes.
        control, rings = self.control, self.rings
        if not rings.is_empty() or ((control.is_armed or not control.is_acknowledged) and self.is_machine_alive):
            return False
        return rings.is_empty()

    @property
    def is_machine_alive(self) -> bool:
        """Whether QEMU still runs."""
        pid = int(self.control.block.plugin_pid)
        return pid == 0 or is_alive(pid)

    @property
    def stop(self) -> Stop | None:
        """Why the window closed, by the event WINDOW_STOP; None while no vCPU has sent one."""
        return max((vcpu.stop for vcpu in self._vcpus if vcpu.stop is not None), default=None)

    def step(self, wait_s: float = POLL_S) -> int:
        """Take all published chunks, or wait `wait_s` seconds; returns the number of chunks taken."""
        taken = 0
        for vcpu, chunks in zip(self._vcpus, self.rings.published(), strict=False):
            before = chunks.next
            while chunks.next != chunks.head:
                self._take(vcpu, chunks)
            taken += chunks.next - before
        if not taken:
            self._digest()
            if time.monotonic() - self._flushed > _FLUSH_S:
                self.rings.flush()
                self._flushed = time.monotonic()
            time.sleep(wait_s)
        if time.monotonic() - self._frame_begun > _FRAME_S:
            self._digest()
            self._write_frame()
        return taken

    def finish(self) -> Progress:
        """Write the last frame and the index. Returns the sums; after a frame that did not fit, only the index is written."""
        try:
            if not self.writer.is_closed:
                if not self._is_broken:
                    for vcpu in self._vcpus:
                        vcpu.digest(final=True)
                    self._write_frame()
                    self._wait()
                done = self.progress
                self.writer.close({**msgspec.structs.asdict(done), "error": self.control.error})
            return self.progress
        except GlassBoxError:
            self.abandon()
            raise
        finally:
            self._pool.shutdown()
            self.rings.close()

    def abandon(self) -> None:
        """Release everything; the file has the frames that were written, and no index."""
        self._pool.shutdown()
        self.writer.abandon()
        self.rings.close()

    def _take(self, vcpu: VcpuFrame, chunks: Published) -> None:
        self._encoder.reserve(self.rings.dictionary.limit)
        most_ids = min(_DIGEST_IDS, self.frame_blocks)
        ids = vcpu.take(chunks, most_ids, FRAME_ITEMS)
        if self._until is not None and not self.has_reached:
            self._look_for(ids)
        self._is_digested = False
        if vcpu.is_over or vcpu.waiting >= most_ids or vcpu.items >= FRAME_ITEMS:
            vcpu.digest(final=vcpu.is_over)
            self._end_full_frame()

    def _digest(self) -> None:
        """Count and encode all blocks whose successor is known."""
        if not self._is_digested:
            self._is_digested = True
            for vcpu in self._vcpus:
                vcpu.digest(final=False)
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

    def _write_frame(self) -> None:
        """Write the frame and begin the next, into which what is held back goes."""
        self._frame_begun = time.monotonic()
        if not any(vcpu.chunks for vcpu in self._vcpus):
            return
        contents: list[Content] = []
        for vcpu in self._vcpus:
            contents += vcpu.contents()
        ids = self._encoder.order.copy()
        blob = self.rings.dictionary.blob(ids)
        contents.insert(0, Content(Section.DICTIONARY, 0, blob, len(ids), level=3))
        contents += self._more
        self._more = ()
        blocks, instructions = (sum(getattr(v, n) for v in self._vcpus) for n in ("blocks", "instructions"))
        write = functools.partial(
            self.writer.write_frame,
            contents,
            np.concatenate([np.array(vcpu.roots, np.uint64) for vcpu in self._vcpus]),
            ids,
            blocks=blocks,
            first_instruction=self._total_instructions,
            instructions=instructions,
            time_ns=min(vcpu.first_time_ns for vcpu in self._vcpus if vcpu.chunks),
        )
        self._submit(write)
        self._total_blocks += blocks
        self._total_instructions += instructions
        self._total_accesses += sum(vcpu.accesses for vcpu in self._vcpus)
        self._encoder.begin_frame()
        for vcpu in self._vcpus:
            vcpu.next_frame()

    def _submit(self, write: Callable[[], None]) -> None:
        """Write a frame in the other thread, after the previous one; raises the error of the previous one."""
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
