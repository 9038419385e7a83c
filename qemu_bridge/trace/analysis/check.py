"""What must hold in any trace: ``glassbox trace check``.

A block's start follows from the end of the one before (behind it, or where its last instruction jumps), or something in
the trace says why not: an exception, an instruction that ran alone, a gap, a stretch that a filter left out, the window's
edge. Counters agree, chunks are numbered without holes, an id means the same in every frame. Whatever is not explained is
listed; nothing is repaired.

With VERIFY each stretch between two holes is counted on its own: QEMU's counter stands at both ends of a gap and of a
process filter's hole. Only two things are known as bounds: the block before a gap may have been cut, which the gap
swallowed, and the same goes for blocks that were left out.

>>> report = check_trace(TraceReader(Path("boot.gbt")))
>>> report.is_sound, report.count
(True, 0)
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tcg_plugin.layout import ChunkFlag, Event, Feature

from ..file.block_table import BlockTable
from ..file.frame import Blocks, Events, Frame
from ..file.reader import TraceReader
from ..file.records import NONE, EventList, Found, check_blocks

MOST_FINDINGS = 1000
"""How many findings a report lists; all are counted."""

_NO_EVENTS = EventList(np.empty(0, np.uint32), np.empty(0, np.uint32), np.empty(0, np.uint32))

_SENTENCES = {
    Found.JUMP: "does not follow from the block before, and nothing says why",
    Found.EXCEPTION: "comes after an exception from an address that the block before does not reach",
    Found.PAGE_TABLE: "comes after a change of page tables that the block before does not make",
    Found.SYSCALL: "comes after a system call that the block before does not make",
    Found.SYSRET: "comes after a return from a system call that the block before does not make",
    Found.IO: "comes after device access at an address that is not in the block before",
    Found.END: "comes after the marked end of a block that is not marked",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a trace that should not be so."""

    kind: str
    frame: int
    vcpu: int
    block: int
    """Number among all blocks of the vCPU; -1 if it is about no block."""
    text: str


@dataclass(frozen=True, slots=True)
class Gap:
    """What was dropped because no chunk was free."""

    frame: int
    vcpu: int
    block: int
    """The vCPU's blocks before it."""
    words: int
    chunks: int
    instructions: int
    """That began while it lasted; 0 without VERIFY."""


@dataclass(slots=True)
class Report:
    """What `check_trace` found out."""

    frames: int = 0
    blocks: int = 0
    instructions: int = 0
    gaps: int = 0
    lost_words: int = 0
    lost_chunks: int = 0
    lost_instructions: int = 0
    """That began during gaps; known with VERIFY."""
    swallowed_instructions: int = 0
    """Of blocks cut right before a gap: in `instructions`, though QEMU counted that they did not begin."""
    filter_holes: int = 0
    """Stretches that a filter left out."""
    left_out_instructions: int = 0
    """Of blocks left out by privilege or address, at most."""
    windows: int = 0
    closed_windows: int = 0
    """Fewer than `windows` when a recording or QEMU was cut off: what came last is not known to be all."""
    verified_windows: int = 0
    """Windows whose instructions QEMU counted one by one."""
    gap_list: list[Gap] = field(default_factory=list)
    """The first of them, as many as findings are listed."""
    count: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether nothing was found."""
        return not self.count

    def add(self, kind: str, frame: int, vcpu: int, block: int, text: str) -> None:
        """Count a finding, and list it if fewer than `MOST_FINDINGS` are."""
        self.count += 1
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(Finding(kind, frame, vcpu, block, text))


@dataclass(slots=True)
class _Vcpu:
    """What is known of one vCPU at the end of a frame."""

    blocks: int = 0
    instructions: int = 0
    sequence: int = -1
    window: int = -1
    tail: EventList = field(default_factory=lambda: _NO_EVENTS)
    """Events behind the last block: they stand before the first of the next frame."""
    counter: int | None = None
    """QEMU's at the beginning of this stretch; None while nothing is recorded."""
    counted_from: int = 0
    """Instructions recorded by then."""
    left_out: int = 0
    """In this stretch, at most."""


def check_trace(trace: TraceReader) -> Report:
    """Check a whole trace, a frame at a time. `TraceError` if a frame cannot be read at all."""
    report = Report()
    vcpus = [_Vcpu() for _ in range(trace.vcpus)]
    is_verified = bool(trace.info.features & Feature.VERIFY)
    contents: dict[int, int] = {}
    for frame in trace.frames():
        report.frames += 1
        _check_dictionary(report, frame, contents)
        instructions = blocks = 0
        for vcpu, state in enumerate(vcpus):
            found = _check_vcpu(report, frame, vcpu, state, is_verified)
            blocks, instructions = blocks + len(found), instructions + int(found.instructions.sum(dtype=np.int64))
        unit = trace.file.units[frame.number]
        if (blocks, instructions) != (unit["blocks"], unit["instructions"]):
            text = f"the frame's header counts {unit['instructions']} instructions, its blocks have {instructions}"
            report.add("count", frame.number, 0, -1, text)
        if report.instructions != unit["first_instruction"]:
            text = f"it begins at instruction {unit['first_instruction']}, not at {report.instructions}"
            report.add("count", frame.number, 0, -1, text)
        report.blocks, report.instructions = report.blocks + blocks, report.instructions + instructions
    return report


def _check_dictionary(report: Report, frame: Frame, contents: dict[int, int]) -> None:
    table = frame.dictionary
    for number, block_id in enumerate(table.ids.tolist()):
        crc = zlib.crc32(table.record(number))
        if contents.setdefault(block_id, crc) != crc:
            report.add("dictionary", frame.number, 0, -1, f"id {block_id} means something else than in a frame before")


def _check_vcpu(report: Report, frame: Frame, vcpu: int, state: _Vcpu, is_verified: bool) -> Blocks:
    blocks, events, row = frame.blocks(vcpu), frame.events(vcpu), frame.vcpu(vcpu)
    if blocks.first_block != state.blocks or blocks.first_instruction != state.instructions:
        report.add("count", frame.number, vcpu, -1, f"it begins at block {blocks.first_block}, not at {state.blocks}")
    count = int(blocks.instructions.sum(dtype=np.int64))
    if count != row["instructions"]:
        report.add(
            "count", frame.number, vcpu, -1, f"{row['instructions']} instructions were counted, {count} are there"
        )
    before = (int(row["before"]), int(row["before_address"]))
    if before[0] != NONE and before[0] >= len(blocks.table):
        report.add("count", frame.number, vcpu, -1, "the block before it is not in its dictionary")
        before = (NONE, 0)
    _check_continuity(report, blocks, before, _join(state.tail, events.list))
    state.tail = _behind(events.list, len(blocks), state.tail)
    _check_chunks(report, frame, vcpu, state, frame.chunks(vcpu))
    _check_windows(report, events, blocks, state, is_verified)
    state.blocks, state.instructions = blocks.first_block + len(blocks), blocks.first_instruction + count
    return blocks


def _check_continuity(report: Report, blocks: Blocks, before: tuple[int, int], events: EventList) -> None:
    table = blocks.table
    number, found = check_blocks(
        table.records, table.endings, blocks.numbers, blocks.addresses, before, events, MOST_FINDINGS
    )
    for row in found:
        index, kind = int(row["index"]), Found(int(row["kind"]))
        text = f"block {_describe(blocks, index)} {_SENTENCES[kind]}, {_describe(blocks, index - 1)}"
        report.add(kind.name.lower(), blocks.frame, blocks.vcpu, blocks.first_block + index, text)
    report.count += number - len(found)


def _join(tail: EventList, events: EventList) -> EventList:
    """The events of a frame, and before them those that its first block's predecessor left behind."""
    if not len(tail.at):
        return events
    return EventList(
        np.concatenate([tail.at, events.at]),
        np.concatenate([tail.offset, events.offset + np.uint32(len(tail.words))]),
        np.concatenate([tail.words, events.words]),
    )


def _behind(events: EventList, blocks: int, tail: EventList) -> EventList:
    """Events behind the last of `blocks`, as events before a first block; `tail` continues if there are no blocks."""
    first = int(np.searchsorted(events.at, blocks)) if blocks else 0
    if first == len(events.at):
        return _NO_EVENTS if blocks else tail
    start = int(events.offset[first])
    own = EventList(
        np.zeros(len(events.at) - first, events.at.dtype), events.offset[first:] - start, events.words[start:]
    )
    return own if blocks else _join(tail, own)


def _describe(blocks: Blocks, index: int) -> str:
    if index < 0:
        return "(of the frame before)"
    table: BlockTable = blocks.table
    number = int(blocks.numbers[index])
    return f"{int(blocks.addresses[index]):#x} (id {table.ids[number]}, {table.bytes[number]} bytes)"


def _check_chunks(report: Report, frame: Frame, vcpu: int, state: _Vcpu, chunks: npt.NDArray[np.void]) -> None:
    for chunk in chunks:
        expected = state.sequence + 1 if chunk["window"] == state.window else 0
        if chunk["sequence"] != expected or (expected == 0) != bool(chunk["flags"] & ChunkFlag.FIRST):
            text = f"chunk {chunk['sequence']} of window {chunk['window']} comes where {expected} should"
            report.add("sequence", frame.number, vcpu, int(chunk["first_block"]), text)
        state.sequence, state.window = int(chunk["sequence"]), int(chunk["window"])


def _check_windows(report: Report, events: Events, blocks: Blocks, state: _Vcpu, verified: bool) -> None:
    kinds = (Event.WINDOW_START, Event.WINDOW_STOP, Event.GAP, Event.FILTER, Event.LEFT_OUT)
    wanted = np.flatnonzero(np.isin(events.types, kinds)).tolist()
    if not wanted:
        return
    totals = np.concatenate([[0], np.cumsum(blocks.instructions, dtype=np.int64)]) + blocks.first_instruction
    for index in wanted:
        place = min(int(events.list.at[index]), len(blocks))
        here, kind = int(totals[place]), Event(int(events.types[index]))
        last = int(blocks.instructions[place - 1]) if place else 0
        if kind is Event.LEFT_OUT:
            report.filter_holes += 1
            report.left_out_instructions += events.value(index)
            state.left_out += events.value(index)
        elif kind is Event.GAP:
            _count_gap(report, blocks, events, index)
            if verified:
                _check_stretch(report, blocks, state, events.value(index, 4), here, swallowed=last)
                _begin_stretch(state, events.value(index, 8), here)
        elif kind is Event.FILTER:
            report.filter_holes += int(events.smalls[index]) == 0
            if verified and not events.smalls[index]:
                _check_stretch(report, blocks, state, events.value(index, 2), here)
                state.counter = None
            elif verified:
                _begin_stretch(state, events.value(index, 2), here)
        elif kind is Event.WINDOW_START:
            report.windows += 1
            _begin_stretch(state, events.value(index, 4), here)
        else:
            report.closed_windows += 1
            report.verified_windows += verified
            if verified:
                _check_stretch(report, blocks, state, events.value(index, 2), here)
            state.counter = None


def _count_gap(report: Report, blocks: Blocks, events: Events, index: int) -> None:
    words, chunks, instructions = (events.value(index, word) for word in (0, 2, 6))
    report.gaps += 1
    report.lost_words, report.lost_chunks = report.lost_words + words, report.lost_chunks + chunks
    report.lost_instructions += instructions
    if len(report.gap_list) < MOST_FINDINGS:
        block = blocks.first_block + int(events.list.at[index])
        report.gap_list.append(Gap(blocks.frame, blocks.vcpu, block, words, chunks, instructions))


def _begin_stretch(state: _Vcpu, counter: int, here: int) -> None:
    state.counter, state.counted_from, state.left_out = counter, here, 0


def _check_stretch(report: Report, blocks: Blocks, state: _Vcpu, counter: int, here: int, swallowed: int = 0) -> None:
    """Compare what was recorded since the stretch began with QEMU's counter; `swallowed`: what may not have begun."""
    if state.counter is None:
        return
    counted, recorded = counter - state.counter, here - state.counted_from
    if not recorded - max(0, swallowed - 1) <= counted <= recorded + state.left_out:
        text = f"QEMU counted {counted} instructions here, {recorded} are in the trace"
        text += f" and at most {state.left_out} were left out" if state.left_out else ""
        report.add("verify", blocks.frame, blocks.vcpu, -1, text)
    elif counted < recorded:
        report.swallowed_instructions += recorded - counted
