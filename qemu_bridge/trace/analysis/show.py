"""The instruction stream around a point, disassembled from the trace's own bytes: ``glassbox trace show``.

Names come from a `Symbolizer`, if the caller has one: a function from an address to a name, so that this module does
not need a machine.

>>> for line in show(trace, vcpu=0, first=1_000_000, count=20): print(line.text)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from tcg_plugin.layout import REGISTERS, Event

from ...errors import TraceError
from ...wire.records import AnyAddress
from ..file.frame import Blocks, Events
from ..file.native import U64
from ..file.reader import TraceReader

Symbolizer = Callable[[int], str]
"""Name of the code at an address, such as ``schedule+0x1c``; empty if it has none."""


@dataclass(frozen=True, slots=True)
class Line:
    """One instruction that began, or one event."""

    instruction: int
    """Number among all instructions of the vCPU."""
    block: int
    """Number of its block among all of the vCPU."""
    address: AnyAddress
    root: AnyAddress
    """Page-table root (CR3); 0 if it is not known."""
    ring: int
    kind: str
    """``instruction`` or the name of an event."""
    text: str
    symbol: str


def show(trace: TraceReader, vcpu: int, first: int, count: int, symbol: Symbolizer | None = None) -> Iterator[Line]:
    """`count` instructions of one vCPU from its instruction number `first` on, and the events between them.

    `TraceError` if the vCPU has fewer instructions than `first`.
    """
    name = symbol or (lambda address: "")
    last, found = first + count, False
    for number in range(len(trace)):
        frame = trace.frame(number)
        row = frame.vcpu(vcpu)
        start = int(row["first_instruction"])
        if start + int(row["instructions"]) <= first:
            continue
        if start >= last:
            return
        found = True
        yield from _show_blocks(frame.blocks(vcpu), frame.events(vcpu), frame.roots(vcpu), first, last, name)
    if not found:
        raise TraceError(f"vCPU {vcpu} has no instruction {first}; give a smaller number")


def _show_blocks(blocks: Blocks, events: Events, roots: U64, first: int, last: int, name: Symbolizer) -> Iterator[Line]:
    ends = np.cumsum(blocks.instructions, dtype=np.int64) + blocks.first_instruction
    low = int(np.searchsorted(ends, first, "right"))
    inside = low < len(blocks) and first > int(ends[low]) - int(blocks.instructions[low])
    event = int(np.searchsorted(events.list.at, low + inside))
    for index in range(low, len(blocks)):
        number = int(ends[index]) - int(blocks.instructions[index])
        if number >= last:
            return
        table, own = blocks.table, int(blocks.numbers[index])
        common = (blocks.first_block + index, int(roots[index]), int(table.rings[own]))
        while event < len(events) and events.list.at[event] <= index:
            yield _event_line(events, event, number, common, name)
            event += 1
        address = int(blocks.addresses[index])
        begun = int(blocks.instructions[index])
        texts = disassemble(table.code(own), address, int(table.modes[own]))
        for place, (length, text) in enumerate(zip(table.lengths(own).tolist(), texts, strict=False)):
            if place >= begun or number >= last:
                break
            if number >= first:
                yield Line(number, common[0], address, common[1], common[2], "instruction", text, name(address))
            number += 1
            address += length


def _event_line(events: Events, index: int, number: int, common: tuple[int, int, int], name: Symbolizer) -> Line:
    kind, small = int(events.types[index]), int(events.smalls[index])
    label = Event(kind).name.lower() if kind in Event._value2member_map_ else f"event-{kind}"
    value = events.value(index)
    text = f"{label} {small} {value:#x}" if len(events.payload(index)) >= 2 else f"{label} {small}"
    if kind == Event.REGISTERS:
        values = np.asarray(events.payload(index)).copy()
        pairs = zip(REGISTERS, values[: len(values) & ~1].view(np.uint64).tolist(), strict=False)
        text = "registers " + " ".join(f"{register}={held:#x}" for register, held in pairs)
    elif kind == Event.GAP:
        text = f"gap of {value} words in {events.value(index, 2)} chunks, {events.value(index, 6) or '?'} instructions"
    elif kind == Event.CODE_PAGE:
        text = f"code page {events.value(index) & 0xFFFFFFFF:#x} of RAM is at {events.value(index, 1) << 12:#x}"
    elif kind == Event.LEFT_OUT:
        text = f"left out: {value} instructions at most"
    elif kind == Event.EXCEPTION:
        text = f"exception {small} at {value:#x}"
    return Line(
        number, common[0], value, common[1], common[2], label, text, name(value) if kind == Event.EXCEPTION else ""
    )


@cache
def _decoder(mode: int) -> Any:  # noqa: ANN401  # capstone has no types
    import capstone

    modes = {16: capstone.CS_MODE_16, 32: capstone.CS_MODE_32, 64: capstone.CS_MODE_64}
    return capstone.Cs(capstone.CS_ARCH_X86, modes.get(mode, capstone.CS_MODE_64))


def disassemble(code: bytes, address: int, mode: int) -> list[str]:
    """Text of each instruction in `code`; what Capstone does not know is shown as bytes, up to the end."""
    texts, at = [], 0
    for _, size, mnemonic, operands in _decoder(mode).disasm_lite(code, address):
        texts.append(f"{mnemonic} {operands}".rstrip())
        at += size
    if at < len(code):
        texts += [f".byte {code[at:].hex(' ')}"] + [".byte"] * (len(code) - at - 1)
    return texts
