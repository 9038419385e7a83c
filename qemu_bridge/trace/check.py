"""What must hold in any trace: ``glassbox trace check``.

A block's start follows from the end of the one before (behind it, or where its last instruction jumps), or something in
the trace says why not: an exception, an instruction that ran alone, a gap, the window's edge. Counters agree, chunks
are numbered without holes, an id means the same in every frame. Whatever is not explained is listed; nothing is repaired.

>>> report = check_trace(TraceReader(Path("boot.gbt")))
>>> report.is_sound, report.count
(True, 0)
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tcg_plugin.layout import ChunkFlag, Event, Feature

from .codec import NONE, Found, check_blocks
from .reader import Blocks, BlockTable, Events, Frame, TraceReader

MOST_FINDINGS = 1000
"""How many findings a report lists; all are counted."""

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


@dataclass(slots=True)
class Report:
    """What `check_trace` found out."""

    frames: int = 0
    blocks: int = 0
    instructions: int = 0
    gaps: int = 0
    lost_words: int = 0
    windows: int = 0
    closed_windows: int = 0
    """Fewer than `windows` when a recording or QEMU was cut off: what came last is not known to be all."""
    verified_windows: int = 0
    """Windows whose instructions QEMU counted one by one."""
    is_continuity_checked: bool = True
    """False for a filtered trace, in which a block need not follow from the one before."""
    count: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether nothing was found."""
        return not self.count

    def add(self, kind: str, frame: int, vcpu: int, block: int, text: str) -> None:
        """Count a finding, and list it if there is room."""
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
    counter: int | None = None
    counted_from: int = 0


def check_trace(trace: TraceReader) -> Report:
    """Check a whole trace, a frame at a time. `TraceError` if a frame cannot be read at all."""
    report = Report(is_continuity_checked=not trace.info.is_filtered)
    vcpus = [_Vcpu() for _ in range(trace.vcpus)]
    contents: dict[int, int] = {}
    for frame in trace.frames():
        report.frames += 1
        _check_dictionary(report, frame, contents)
        instructions = blocks = 0
        for vcpu, state in enumerate(vcpus):
            found = _check_vcpu(report, frame, vcpu, state)
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


def _check_vcpu(report: Report, frame: Frame, vcpu: int, state: _Vcpu) -> Blocks:
    blocks, events, row = frame.blocks(vcpu), frame.events(vcpu), frame.vcpu(vcpu)
    if blocks.first_block != state.blocks or blocks.first_instruction != state.instructions:
        report.add("count", frame.number, vcpu, -1, f"it begins at block {blocks.first_block}, not at {state.blocks}")
    count = int(blocks.instructions.sum(dtype=np.int64))
    if count != row["instructions"]:
        report.add(
            "count", frame.number, vcpu, -1, f"{row['instructions']} instructions were counted, {count} are there"
        )
    if report.is_continuity_checked:
        before = (int(row["before"]), int(row["before_address"]))
        if before[0] != NONE and before[0] >= len(blocks.table):
            report.add("count", frame.number, vcpu, -1, "the block before it is not in its dictionary")
            before = (NONE, 0)
        table = blocks.table
        number, found = check_blocks(
            table.records, table.endings, blocks.numbers, blocks.addresses, before, events.list, MOST_FINDINGS
        )
        for row in found:
            index, kind = int(row["index"]), Found(int(row["kind"]))
            text = f"block {_describe(blocks, index)} {_SENTENCES[kind]}, {_describe(blocks, index - 1)}"
            report.add(kind.name.lower(), frame.number, vcpu, blocks.first_block + index, text)
        report.count += number - len(found)
    _check_chunks(report, frame, vcpu, state, frame.chunks(vcpu))
    _check_windows(report, frame, events, blocks, state)
    state.blocks, state.instructions = blocks.first_block + len(blocks), blocks.first_instruction + count
    return blocks


def _describe(blocks: Blocks, index: int) -> str:
    if index < 0:
        return "(of the frame before)"
    table: BlockTable = blocks.table
    number = int(blocks.numbers[index])
    return f"{int(blocks.addresses[index]):#x} (id {table.ids[number]}, {table.bytes[number]} bytes)"


def _check_chunks(report: Report, frame: Frame, vcpu: int, state: _Vcpu, chunks: Any) -> None:  # noqa: ANN401
    for chunk in chunks:
        expected = state.sequence + 1 if chunk["window"] == state.window else 0
        if chunk["sequence"] != expected or (expected == 0) != bool(chunk["flags"] & ChunkFlag.FIRST):
            text = f"chunk {chunk['sequence']} of window {chunk['window']} comes where {expected} should"
            report.add("sequence", frame.number, vcpu, int(chunk["first_block"]), text)
        state.sequence, state.window = int(chunk["sequence"]), int(chunk["window"])


def _check_windows(report: Report, frame: Frame, events: Events, blocks: Blocks, state: _Vcpu) -> None:
    kinds = (Event.WINDOW_START, Event.WINDOW_STOP, Event.GAP)
    wanted = np.flatnonzero(np.isin(events.types, kinds)).tolist()
    if not wanted:
        return
    totals = np.concatenate([[0], np.cumsum(blocks.instructions, dtype=np.int64)]) + blocks.first_instruction
    verified = bool(frame.trace.info.features & Feature.VERIFY)
    for index in wanted:
        here = int(totals[min(int(events.list.at[index]), len(blocks))])
        kind = Event(int(events.types[index]))
        report.closed_windows += kind is Event.WINDOW_STOP
        if kind is Event.GAP:
            report.gaps += 1
            report.lost_words += events.value(index)
            state.counter = None
        elif kind is Event.WINDOW_START:
            report.windows += 1
            state.counter, state.counted_from = events.value(index, 4), here
        elif verified and state.counter is not None and not frame.trace.info.is_filtered:
            report.verified_windows += 1
            counted = events.value(index, 2) - state.counter
            if counted != here - state.counted_from:
                text = (
                    f"QEMU counted {counted} instructions in this window, {here - state.counted_from} are in the trace"
                )
                report.add("verify", frame.number, blocks.vcpu, blocks.first_block + int(events.list.at[index]), text)
