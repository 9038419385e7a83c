"""What one vCPU has brought to the frame that is being filled: encoded blocks, accesses and events, and their counts.

The last block of a chunk is held back until its successor is known, because only that tells whether it ran to its end.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tcg_plugin.layout import NO_OFFSET, BlockFlag, ChunkFlag, Event, Stop, join_64

from ..file.access_stream import AccessEncoder
from ..file.block_stream import BlockEncoder, BlockStream, encode_ascending
from ..file.columns import Columns, Published
from ..file.format import ACCESS_SECTIONS, CHUNK, HOME, VCPU, Content, Section
from ..file.records import NONE, EventList, begun_instructions
from .ring import BlockDictionary

_COLUMN_ITEMS = 1 << 17
_ADDRESS_MASK = (1 << 64) - 1
_IS_FOLLOWED = np.zeros(64, np.bool_)
_IS_FOLLOWED[[Event.PAGE_TABLE, Event.CODE_PAGE, Event.WINDOW_START, Event.WINDOW_STOP]] = True
"""By an event's type: what says how the next frame begins."""


class VcpuFrame:
    """The part of one vCPU in the current frame, and what carries over into the next one."""

    def __init__(self, number: int, encoder: BlockEncoder, dictionary: BlockDictionary) -> None:
        """For vCPU `number`; `encoder` is shared by all vCPUs of a frame, `dictionary` has the plugin's records."""
        self.number = number
        self._encoder, self._dictionary = encoder, dictionary
        self._stream, self._accesses = BlockStream(encoder), AccessEncoder()
        self._columns = Columns(_COLUMN_ITEMS)
        self.first_block = self.first_instruction = 0
        self._root, self._homes = 0, dict[int, int]()
        self._before: int | None = None
        self._before_address = 0
        self._last: int | None = None
        self.stop: Stop | None = None
        """Why the last window closed; None while it is open."""
        self.is_over = False
        """Whether the chunk that was taken last is the last of its window."""
        self._begin()

    def _begin(self) -> None:
        self.blocks = self.instructions = 0
        self._first_root, self._first_homes = self._root, dict(self._homes)
        self.chunks: list[bytes] = []
        self._event_words: list[npt.NDArray[np.uint32]] = []
        self._event_at: list[npt.NDArray[np.uint32]] = []
        self.roots = [self._root]
        """Page-table roots that were loaded in this frame."""
        self._event_items = 0
        self._stream.begin_frame()
        self._accesses.begin_frame(int(self._columns.ids[0]) if self._columns.id_count else 0)

    @property
    def accesses(self) -> int:
        """Loads and stores in this frame."""
        return self._accesses.count

    @property
    def items(self) -> int:
        """Accesses and words of events in this frame."""
        return self._event_items + self._accesses.count

    @property
    def waiting(self) -> int:
        """Blocks that were taken and not counted yet."""
        return self._columns.id_count

    @property
    def first_time_ns(self) -> int:
        """Wall time of the first chunk; call it only if there is one."""
        return int(np.frombuffer(self.chunks[0], CHUNK)["time_ns"][0])

    def take(self, chunks: Published, most_ids: int, most_items: int) -> npt.NDArray[np.uint32]:
        """Split and free published chunks, at least one, until so many ids or items wait or the window is over.

        Returns the ids in them, valid until the next call.
        """
        columns, accesses = self._columns, self._accesses
        columns.base = self.blocks
        accesses.reserve(self._encoder.limit)
        known = columns.id_count
        taken = columns.split_chunks(
            chunks,
            accesses,
            first_block=self.first_block + self.blocks,
            most_ids=most_ids,
            most_accesses=max(1, most_items - self._event_items),
        )
        self.chunks.append(taken.tobytes())
        self.is_over = bool(taken["flags"][-1] & ChunkFlag.LAST)
        return columns.ids[known : columns.id_count]

    def digest(self, final: bool) -> None:
        """Encode and count what was taken, but for a block whose successor is not known unless `final`."""
        columns = self._columns
        ids = columns.ids[: columns.id_count]
        done = len(ids) if final else max(0, len(ids) - 1)
        last = self.blocks + done
        events = int(np.searchsorted(columns.event_at[: columns.event_count], last, "right"))
        if final:
            events = columns.event_count
        elif not len(ids):
            return
        words_end = int(columns.event_offset[events]) if events < columns.event_count else columns.event_word_count
        listed = EventList(columns.event_at[:events], columns.event_offset[:events], columns.event_words[:words_end])
        following = int(ids[done]) if done < len(ids) else NONE
        if done:
            records = self._dictionary.records()
            self.instructions += begun_instructions(records, ids[:done], following, listed, self.blocks)
            self._stream.append(ids[:done])
            self._last = int(ids[done - 1])
        if events:
            self._event_at.append(listed.at.copy())
            self._event_words.append(listed.words.copy())
            self._event_items += len(listed.words)
            self._follow(listed)
        self.blocks += done
        columns.drop(done, events, words_end)

    def next_frame(self) -> None:
        """Begin the next frame, into which what is held back goes."""
        self.first_block += self.blocks
        self.first_instruction += self.instructions
        if self._last is not None:
            self._before, self._before_address = self._last, self._address_of(self._last)
        self._columns.rebase(self.blocks)
        self._begin()

    def contents(self) -> list[Content]:
        """The sections of this frame."""
        number = self.number
        runs, misses = self._stream.finish()
        at = np.concatenate([*self._event_at, np.empty(0, np.uint32)])
        words = np.concatenate([*self._event_words, np.empty(0, np.uint32)])
        homes = np.zeros(len(self._first_homes), HOME)
        homes["page"], homes["home"] = list(self._first_homes), list(self._first_homes.values())
        chunks = np.frombuffer(b"".join(self.chunks), CHUNK)
        return [
            Content(Section.VCPU, number, self._row(), 1),
            Content(Section.RUNS, number, runs.copy(), self.blocks),
            Content(Section.MISSES, number, misses.copy(), len(misses)),
            Content(Section.CHUNKS, number, chunks, len(chunks)),
            Content(Section.EVENTS, number, words, len(at)),
            Content(Section.EVENT_AT, number, encode_ascending(at), len(at)),
            Content(Section.HOMES, number, np.sort(homes, order="page"), len(homes)),
            *self._access_contents(),
        ]

    def _row(self) -> npt.NDArray[np.void]:
        row = np.zeros(1, VCPU)
        for name in ("blocks", "first_block", "instructions", "first_instruction"):
            row[name] = getattr(self, name)
        columns, before = self._columns, self._before
        row["root"] = self._first_root
        row["following"] = self._encoder.number(int(columns.ids[0])) if columns.id_count else NONE
        row["before"] = NONE if before is None else self._encoder.number(before)
        row["before_address"] = 0 if before is None else self._before_address
        return row

    def _access_contents(self) -> list[Content]:
        count, coded = self._accesses.count, self._accesses.finish()
        if not count:
            return []
        # Copied, for another thread compresses them while these grow again.
        items = (count, len(coded.metas), count, len(coded.value_runs), len(coded.values))
        return [
            Content(kind, self.number, stream.copy(), some)
            for kind, stream, some in zip(ACCESS_SECTIONS, coded, items, strict=True)
        ]

    def _address_of(self, block_id: int) -> int:
        """Where a block that ran last did so: user and early kernel code may have moved (GB_EVENT_CODE_PAGE)."""
        record = self._dictionary.find(block_id)
        if record is None:
            return 0
        is_movable = (record.ring == 3 or record.flags & BlockFlag.MOVABLE) and record.offset != NO_OFFSET
        home = self._homes.get(record.offset >> 12) if is_movable else None
        return int(record.address) if home is None else (home << 12 | record.offset & 0xFFF) & _ADDRESS_MASK

    def _follow(self, events: EventList) -> None:
        """Keep up with page-table roots and with where code pages are, for the beginning of the next frame."""
        words = events.words
        chosen = events.offset[_IS_FOLLOWED[words[events.offset] >> 24 & 0x3F]]
        for offset, head in zip(chosen.tolist(), words[chosen].tolist(), strict=True):
            payload = words[offset + 1 : offset + 1 + (head >> 16 & 0xFF)].tolist()
            kind = head >> 24 & 0x3F
            if kind == Event.CODE_PAGE and len(payload) >= 3:
                self._homes[payload[0]] = join_64(payload, 1)
            elif kind == Event.PAGE_TABLE and len(payload) >= 2:
                self._load_root(join_64(payload))
            elif kind == Event.WINDOW_START and len(payload) >= 4:
                self.stop = None
                self._load_root(join_64(payload, 2))
            elif kind == Event.WINDOW_STOP:
                small = head & 0xFFFF
                self.stop = Stop(small) if small in Stop._value2member_map_ else Stop.ASKED

    def _load_root(self, root: int) -> None:
        self._root = root
        self.roots.append(root)
