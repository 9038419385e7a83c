"""DWARF call frames from the kernel's ORC tables, so that a debugger unwinds as the kernel does.

Both say for each code address where the caller's frame begins; ORC for the stack and frame pointers only, and for a whole ``struct
pt_regs`` where an exception came. Source: DWARF 4, 6.4; ``arch/x86/kernel/unwind_orc.c``; register numbers of the x86-64 psABI.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import groupby

from ...errors import GlassBoxError
from ..orc import ENTRY_SIZE, OrcEntry, OrcKind, OrcRegister, OrcTable, OrcTables
from .leb128 import sleb, uleb

_BP, _SP, _IP = 6, 7, 16
_PT_REGS = (15, 14, 13, 12, _BP, 3, 11, 10, 9, 8, 0, 2, 1, 4, 5)
"""DWARF numbers of the registers that ``struct pt_regs`` begins with, a word each (``arch/x86/include/asm/ptrace.h``)."""
_IP_AT, _SP_AT = 16 * 8, 19 * 8
_ROWS = 128
"""Of one entry at most: a debugger reads them from the first on."""
_MOST_BYTES = 1 << 24
"""Of code between two rows."""
_U64 = (1 << 64) - 1
_WORD = -8
_OFFSET, _UNDEFINED, _SAME, _CFA, _CFA_EXPRESSION, _EXPRESSION, _OFFSET_EXTENDED, _CFA_SIGNED = (
    0x80, 0x07, 0x08, 0x0C, 0x0F, 0x10, 0x11, 0x12,
)  # fmt: skip
"""``DW_CFA_*``."""
_DEREF, _PLUS, _CONST = 0x06, 0x22, 0x11
"""``DW_OP_*``; a register with an offset is 0x70 and its number."""
_CALLS, _INTERRUPTED = "z", "zS"


def frame_section(tables: OrcTables) -> bytes:
    """``.debug_frame`` of all code that has entries."""
    section = bytearray()
    places = {}
    for augmentation in (_CALLS, _INTERRUPTED):
        places[augmentation] = len(section)
        section += _common(augmentation)
    rules: dict[bytes, tuple[OrcEntry, bytes]] = {}
    for number, table in enumerate(tables.tables):
        # The image's table goes on behind its text, with the code that runs once at boot; where a module's was, another one's may be.
        for start, end, is_interrupted, code in _entries(tables, table, table.end if number else _U64, rules):
            place = places[_INTERRUPTED if is_interrupted else _CALLS]
            section += _record(struct.pack("<IQQB", place, start, end - start, 0) + code)
    return bytes(section)


def _entries(
    tables: OrcTables, table: OrcTable, limit: int, rules: dict[bytes, tuple[OrcEntry, bytes]]
) -> Iterator[tuple[int, int, bool, bytes]]:
    """Yield (start, end, whether that is the frame of an exception, instructions) of pieces of code."""
    try:
        data = tables.read_entries(table)
    except GlassBoxError:  # a module that is being unloaded, or lies
        return
    addresses = [table.base + address for address in table.addresses.tolist()]
    rows: list[tuple[int, int, OrcEntry, bytes]] = []
    for row, (start, end) in enumerate(zip(addresses, [*addresses[1:], table.end], strict=True)):
        least = rows[-1][1] if rows else table.start
        if not least <= start < end <= min(start + _MOST_BYTES, limit):
            continue
        raw = data[row * ENTRY_SIZE : (row + 1) * ENTRY_SIZE]
        if raw not in rules:
            entry = tables.decode(raw)
            rules[raw] = entry, _rule(entry)
        rows.append((start, end, *rules[raw]))
    for kind, run in groupby(rows, lambda row: row[2].kind):
        pieces = list(run)
        for first in range(0, len(pieces), _ROWS):
            piece = pieces[first : first + _ROWS]
            code, at = bytearray(), piece[0][0]
            for start, _, _, rule in piece:
                code += _advance(start - at) + rule
                at = start
            yield piece[0][0], piece[-1][1], kind in (OrcKind.REGS, OrcKind.REGS_PARTIAL), bytes(code)


def _common(augmentation: str) -> bytes:
    """A CIE: code in bytes, data in words downwards; where a call returns to lies below the frame."""
    head = struct.pack("<IB", 0xFFFFFFFF, 1) + augmentation.encode() + b"\0"
    return _record(
        head
        + uleb(1)
        + sleb(_WORD)
        + bytes([_IP])
        + uleb(0)
        + bytes([_CFA, _SP])
        + uleb(8)
        + bytes([_OFFSET | _IP])
        + uleb(1)
    )


def _record(body: bytes) -> bytes:
    """With its length, to whole words; what is left over is ``DW_CFA_nop``."""
    padded = body + bytes(-(len(body) + 4) % 8)
    return struct.pack("<I", len(padded)) + padded


def _advance(distance: int) -> bytes:
    """``DW_CFA_advance_loc`` in the shortest form."""
    if distance == 0:
        return b""
    if distance < 0x40:
        return bytes([0x40 | distance])
    if distance < 0x100:
        return bytes([0x02, distance])
    return struct.pack("<BH", 0x03, distance) if distance < 0x10000 else struct.pack("<BI", 0x04, distance & 0xFFFFFFFF)


def _rule(entry: OrcEntry) -> bytes:
    """What an entry says, whatever the one before it said."""
    frame = _frame(entry)
    if frame is None or entry.kind in (OrcKind.END, OrcKind.UNDEFINED):
        return bytes([_UNDEFINED, _IP])
    if entry.kind is OrcKind.CALL:
        return frame + bytes([_OFFSET | _IP]) + uleb(1) + _frame_pointer(entry)
    ip = 0 if entry.kind is OrcKind.REGS_PARTIAL else _IP_AT
    found = frame + _saved(_IP, ip) + _saved(_SP, ip + _SP_AT - _IP_AT)
    if entry.kind is OrcKind.REGS:
        return found + b"".join(_saved(register, 8 * place) for place, register in enumerate(_PT_REGS))
    return found + _frame_pointer(entry)


def _frame(entry: OrcEntry) -> bytes | None:
    """Where the caller's stack pointer is; None where only other registers know."""
    offset = entry.sp_offset
    match entry.sp_register:
        case OrcRegister.SP | OrcRegister.BP:
            register = _SP if entry.sp_register is OrcRegister.SP else _BP
            if offset >= 0:
                return bytes([_CFA, register]) + uleb(offset)
            return None if offset % _WORD else bytes([_CFA_SIGNED, register]) + sleb(offset // _WORD)
        case OrcRegister.BP_INDIRECT:
            code = bytes([0x70 + _BP]) + sleb(offset) + bytes([_DEREF])
        case OrcRegister.SP_INDIRECT:
            code = bytes([0x70 + _SP, 0, _DEREF, _CONST]) + sleb(offset) + bytes([_PLUS])
        case _:
            return None
    return bytes([_CFA_EXPRESSION]) + uleb(len(code)) + code


def _frame_pointer(entry: OrcEntry) -> bytes:
    if entry.bp_register is OrcRegister.PREVIOUS_SP:
        return _saved(_BP, entry.bp_offset)
    if entry.bp_register is OrcRegister.BP:
        code = bytes([0x70 + _BP]) + sleb(entry.bp_offset)
        return bytes([_EXPRESSION, _BP]) + uleb(len(code)) + code
    return bytes([_SAME, _BP])


def _saved(register: int, offset: int) -> bytes:
    """A register's value is in memory, so many bytes above the caller's stack pointer; those are whole words."""
    return (
        bytes([_OFFSET_EXTENDED]) + uleb(register) + sleb(offset // _WORD)
        if not offset % _WORD
        else bytes([_SAME, register])
    )
