"""ELF cores of a whole machine: what QEMU's ``dump-guest-memory`` and makedumpfile write.

Each loadable segment is a run of guest-physical memory (System V ABI, chapter 5; "p_paddr"). Cores of more than 65,534
segments keep their number in the first section header.
"""

from __future__ import annotations

import struct

from ..errors import UsageError
from .dump import MAX_RANGES, Dump, Extent, Reader, check_ranges, stored_pieces

MAGIC = b"\x7fELF"
HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SEGMENT = struct.Struct("<IIQQQQQQ")
_SEGMENT_32 = struct.Struct("<IIIIIIII")
_HEADER_32 = struct.Struct("<16sHHIIIIIHHHHHH")
CORE, LOAD, NOTE = 4, 1, 4
_MANY = 0xFFFF
_X86, X86_64 = 3, 62


def open_elf_core(file: Reader) -> Dump:
    """The core in `file`; `UsageError` for an ELF file that is none of a whole x86 machine."""
    head = file.read(0, HEADER.size)
    if len(head) < HEADER.size:
        raise UsageError(f"{file.name} was cut short in its header; write it again")
    is_64 = head[4] == 2
    if head[5] != 1 or head[4] not in (1, 2):
        raise UsageError(f"{file.name} is an ELF file of a machine that is not x86; give the core of an x86-64 guest")
    fields = (HEADER if is_64 else _HEADER_32).unpack_from(head)
    kind, machine, at, section_at, entry_size, count = fields[1], fields[2], fields[5], fields[6], fields[9], fields[10]
    if kind != CORE:
        raise UsageError(f"{file.name} is an ELF file but no core; give a dump of RAM")
    if machine not in (_X86, X86_64):
        raise UsageError(f"{file.name} is the core of a machine that is not x86; give the core of an x86-64 guest")
    if count == _MANY:
        # sh_info of the first section header.
        count = int.from_bytes(file.read(section_at + (44 if is_64 else 28), 4), "little")
    row = SEGMENT if is_64 else _SEGMENT_32
    if entry_size != row.size or count > MAX_RANGES:
        raise UsageError(f"{file.name} is damaged: {count} segments of {entry_size} bytes; write it again")
    table = file.read(at, count * row.size)
    if len(table) < count * row.size:
        raise UsageError(f"{file.name} was cut short in its header; write it again")
    extents = []
    for segment in row.iter_unpack(table):
        if is_64:
            what, _, place, virtual, physical, stored, size, _ = segment
        else:
            what, place, virtual, physical, stored, size, _, _ = segment
        if what == LOAD and size:
            extents.append((Extent(physical, size, place, min(stored, size)), virtual))
    if len(extents) > 1 and all(not extent.start for extent, _ in extents):
        raise UsageError(f"{file.name} is the core of a process, not of a machine; give a dump of RAM")
    parts = sorted((extent for extent, _ in extents), key=lambda extent: extent.start)
    missing: list[str] = []
    ranges = check_ranges(file.name, ((extent.start, extent.start + extent.size) for extent in parts))
    return Dump("an ELF core", ranges, lambda: stored_pieces(file, parts, missing), missing)
