"""One frame of a trace, decoded when asked for: executed blocks, events, loads and stores, registers, as NumPy arrays.

Positions count blocks: an event at position p of a vCPU came after p of its blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tcg_plugin.layout import NO_OFFSET, REGISTERS, Event, join_64

from ...errors import UsageError
from .access_stream import AccessStreams, decode_accesses
from .block_stream import decode_ascending, decode_blocks
from .block_table import BlockTable
from .columns import event_offsets
from .container import Sections, TraceFile
from .format import ACCESS_SECTIONS, CHUNK, HOME, VCPU, Section
from .native import U8, U16, U32, U64
from .records import EventList, begun_instructions, block_addresses
from .symbol_table import MOST_SYMBOL_BYTES, SymbolTable

MOST_BLOCKS = 1 << 28
"""Blocks that one vCPU may have in a frame; a file that claims more is damaged."""
MOST_ACCESSES = 1 << 26
"""Likewise accesses: a few bytes may claim any number, and each takes 30 bytes when decoded."""


@dataclass(frozen=True, slots=True)
class Events:
    """Events of one vCPU in one frame, in order."""

    positions: U64
    """Blocks of this vCPU that came before, since the trace began."""
    types: U8
    """Of `tcg_plugin.layout.Event`."""
    smalls: U16
    first_block: int
    """The vCPU's blocks before this frame."""
    list: EventList

    def __len__(self) -> int:
        return len(self.positions)

    def payload(self, index: int) -> U32:
        """Words of event `index`."""
        start = int(self.list.offset[index])
        return self.list.words[start + 1 : start + 1 + int(self.list.words[start] >> 16 & 0xFF)]

    def value(self, index: int, word: int = 0) -> int:
        """64 bits of the payload of event `index`, from word number `word` on; 0 if it is shorter."""
        words = self.payload(index)[word : word + 2].tolist()
        return join_64(words) if len(words) == 2 else 0

    def where(self, kind: Event) -> npt.NDArray[np.intp]:
        """Indexes of the events of one type."""
        return np.flatnonzero(self.types == kind)


@dataclass(frozen=True, slots=True)
class Blocks:
    """Executed blocks of one vCPU in one frame, in order; arrays of the same length."""

    vcpu: int
    frame: int
    first_block: int
    """The vCPU's blocks before these."""
    first_instruction: int
    numbers: U32
    """Of each block in `table`."""
    ids: U32
    addresses: U64
    """Linear address at which it ran."""
    instructions: U16
    """Instructions that began: all of the block's unless it was cut short."""
    table: BlockTable

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True, slots=True)
class Accesses:
    """Loads and stores of one vCPU in one frame, in order; arrays of the same length."""

    blocks: U64
    """Of the block that made it: its number among all blocks of this vCPU.

    A window may begin inside a block, which is then not recorded: its accesses count as those of the next one.
    """
    instructions: U16
    """Which instruction of that block."""
    addresses: U64
    sizes: U8
    """Bytes: 1 to 16."""
    stores: npt.NDArray[np.bool_]
    has_values: npt.NDArray[np.bool_]
    values: npt.NDArray[np.uint64]
    """Shape (n, 2): low and high 64 bits; 0 without a value."""

    def __len__(self) -> int:
        return len(self.addresses)


@dataclass(frozen=True, slots=True)
class RegisterSets:
    """Registers of one vCPU at chosen blocks in one frame, in order; arrays of the same length."""

    blocks: U64
    """Of the block that begins with these values: its number among all blocks of this vCPU."""
    addresses: U64
    """Where it ran."""
    values: U64
    """Shape (n, 18): one column for each name in `tcg_plugin.layout.REGISTERS`."""

    def __len__(self) -> int:
        return len(self.blocks)

    def column(self, name: str) -> U64:
        """One register of every set, such as ``rdi``; `UsageError` if there is no such register."""
        if name not in REGISTERS:
            raise UsageError(f"there is no register {name!r}; recorded are {', '.join(REGISTERS)}")
        return self.values[:, REGISTERS.index(name)]


class Frame:
    """One frame: a dictionary, and for each vCPU blocks, events, accesses. Decoded when asked for."""

    def __init__(self, file: TraceFile, number: int, sections: Sections) -> None:
        self.file, self.number = file, number
        self._sections = sections
        self._events: dict[int, Events] = {}
        self._numbers: dict[int, U32] = {}

    @cached_property
    def dictionary(self) -> BlockTable:
        """The blocks that occur in this frame."""
        return BlockTable(self._sections.read(Section.DICTIONARY))

    @property
    def symbols(self) -> SymbolTable | None:
        """Names of the guest's kernel, in a trace's first frame; None if it has none."""
        if not self._sections.items(Section.SYMBOLS):
            return None
        return SymbolTable(self._sections.read(Section.SYMBOLS, most_bytes=MOST_SYMBOL_BYTES).data)

    def vcpu(self, vcpu: int) -> np.void:
        """The record `format.VCPU` of one vCPU."""
        rows = self._sections.read(Section.VCPU, vcpu, VCPU.itemsize).view(VCPU)
        if len(rows) != 1:
            raise self.file.damaged(f"frame {self.number} has no vCPU {vcpu}")
        if int(rows[0]["blocks"]) > MOST_BLOCKS or self._sections.items(Section.RUNS, vcpu) != int(rows[0]["blocks"]):
            raise self.file.damaged(f"frame {self.number} claims {rows[0]['blocks']} blocks")
        row: np.void = rows[0]
        return row

    def numbers(self, vcpu: int = 0) -> U32:
        """Executed blocks by their number in `dictionary`: what is cheapest to have."""
        if vcpu not in self._numbers:
            count = int(self.vcpu(vcpu)["blocks"])
            misses = self._sections.read(Section.MISSES, vcpu, 4).view(np.uint32)
            runs = self._sections.read(Section.RUNS, vcpu)
            self._numbers[vcpu] = decode_blocks(runs, misses, len(self.dictionary), count)
        return self._numbers[vcpu]

    def events(self, vcpu: int = 0) -> Events:
        """The events of one vCPU."""
        if vcpu not in self._events:
            row = self.vcpu(vcpu)
            data = self._sections.read(Section.EVENTS, vcpu)
            if len(data) % 4:
                raise self.file.damaged("its events have no whole words")
            words = data.view(np.uint32)
            offset = event_offsets(words)
            data = self._sections.read(Section.EVENT_AT, vcpu)
            at = decode_ascending(data, len(offset), int(row["blocks"]) + 1)
            heads = words[offset]
            self._events[vcpu] = Events(
                positions=at + row["first_block"],
                types=(heads >> 24 & 0x3F).astype(np.uint8),
                smalls=(heads & 0xFFFF).astype(np.uint16),
                first_block=int(row["first_block"]),
                list=EventList(at, offset, words),
            )
        return self._events[vcpu]

    def blocks(self, vcpu: int = 0) -> Blocks:
        """The executed blocks of one vCPU, with true addresses and the instructions that began in each."""
        row, numbers = self.vcpu(vcpu), self.numbers(vcpu)
        return Blocks(
            vcpu=vcpu,
            frame=self.number,
            first_block=int(row["first_block"]),
            first_instruction=int(row["first_instruction"]),
            numbers=numbers,
            ids=self.dictionary.ids[numbers],
            addresses=self.addresses(vcpu),
            instructions=self.instructions(vcpu),
            table=self.dictionary,
        )

    def addresses(self, vcpu: int = 0) -> U64:
        """Linear address at which each block ran."""
        return self._addresses(vcpu, self.numbers(vcpu))

    def _addresses(self, vcpu: int, numbers: U32) -> U64:
        pages, slots = self.dictionary.pages
        known = self._sections.read(Section.HOMES, vcpu, HOME.itemsize).view(HOME)
        homes = np.full(len(pages), NO_OFFSET, np.uint64)
        place = np.searchsorted(pages, known["page"])
        there = place < len(pages)
        there[there] = pages[place[there]] == known["page"][there]
        homes[place[there]] = known["home"][there]
        events = self.events(vcpu).list
        return block_addresses(self.dictionary.records, slots, pages, homes, numbers, events)

    def instructions(self, vcpu: int = 0) -> U16:
        """Instructions that began in each block."""
        numbers = self.numbers(vcpu)
        out = np.empty(len(numbers), np.uint16)
        following = int(self.vcpu(vcpu)["following"])
        begun_instructions(self.dictionary.records, numbers, following, self.events(vcpu).list, out=out)
        return out

    def root_changes(self, vcpu: int = 0) -> tuple[U64, U64]:
        """From which block (of this frame, from 0) on which page-table root is loaded; the first pair is of block 0."""
        events, row = self.events(vcpu), self.vcpu(vcpu)
        at, roots = [0], [int(row["root"])]
        for index in np.flatnonzero((events.types == Event.PAGE_TABLE) | (events.types == Event.WINDOW_START)).tolist():
            at.append(int(events.list.at[index]))
            roots.append(events.value(index, 2 if events.types[index] == Event.WINDOW_START else 0))
        return np.array(at, np.uint64), np.array(roots, np.uint64)

    def roots(self, vcpu: int = 0) -> U64:
        """Page-table root (CR3) of each block."""
        at, roots = self.root_changes(vcpu)
        count = len(self.numbers(vcpu))
        edges = np.minimum(np.append(at, count), count).astype(np.int64)
        return np.repeat(roots, np.diff(edges))

    def registers(self, vcpu: int = 0) -> RegisterSets:
        """Registers at the blocks that were chosen; empty if they were not recorded.

        The block may be the first of the next frame. Sets whose block never came are left out: the window ended.
        """
        events, numbers, following = self.events(vcpu), self.numbers(vcpu), int(self.vcpu(vcpu)["following"])
        if following < len(self.dictionary):
            numbers = np.append(numbers, np.uint32(following))
        addresses = self._addresses(vcpu, numbers)
        words = 2 * len(REGISTERS)
        found = [i for i in events.where(Event.REGISTERS).tolist() if len(events.payload(i)) == words]
        found = [i for i in found if events.list.at[i] < len(addresses)]
        at = events.list.at[found].astype(np.int64)
        values = np.array([events.payload(i) for i in found], np.uint32).reshape(len(found), words)
        return RegisterSets(at.astype(np.uint64) + np.uint64(events.first_block), addresses[at], values.view(np.uint64))

    def chunks(self, vcpu: int = 0) -> npt.NDArray[Any]:
        """Headers of the ring's chunks, as `format.CHUNK`."""
        return self._sections.read(Section.CHUNKS, vcpu, CHUNK.itemsize).view(CHUNK)

    def memory(self, vcpu: int = 0) -> Accesses:
        """Loads and stores of one vCPU; empty if they were not recorded."""
        row, numbers = self.vcpu(vcpu), self.numbers(vcpu)
        count = self._sections.items(Section.SHAPES, vcpu)
        if count > MOST_ACCESSES:
            raise self.file.damaged(f"a frame claims {count} accesses")
        shapes, metas, *rest = (
            self._sections.read(kind, vcpu, 2 * (kind == Section.METAS)) for kind in ACCESS_SECTIONS
        )
        streams = AccessStreams(shapes, metas.view(np.uint16), *rest)
        at, meta, addresses, values = decode_accesses(
            streams, numbers, int(row["following"]), len(self.dictionary), count
        )
        return Accesses(
            blocks=np.maximum(at, 1) - np.uint32(1) + row["first_block"],
            instructions=meta & np.uint16(0x1FF),
            addresses=addresses,
            sizes=np.left_shift(np.uint8(1), (meta >> 9 & 7).astype(np.uint8)),
            stores=(meta >> 13 & 1).astype(np.bool_),
            has_values=(meta >> 12 & 1).astype(np.bool_),
            values=values,
        )
