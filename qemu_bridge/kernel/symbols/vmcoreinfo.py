"""The kernel's own description of itself, found in RAM: the ELF note ``VMCOREINFO``.

Linux writes this note at boot so that a crash kernel can make sense of the dead one
(``kernel/vmcore_info.c``, before release 6.9 ``kernel/crash_core.c``). It is one text of ``KEY=VALUE`` lines behind an ELF
note header (name size u32, description size u32, type u32, then the name padded to 12 bytes)::

    OSRELEASE=6.1.0-56-cloud-amd64
    BUILD-ID=3b43fad5034874490492495d552c0af6a5fab235
    SYMBOL(swapper_pg_dir)=ffffffff82a10000
    NUMBER(phys_base)=0
    KERNELOFFSET=0

It is all that is needed to start: where the kernel was loaded, its page tables, and since release 6.0 its symbol
table. Nothing in it is trusted: a candidate that does not parse is skipped, and the caller checks the
addresses that it gives (`kernel.KernelSymbols.load`).
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ...errors import AddressError, NotBootedError
from ...memory.addresses import PAGE_SHIFT, PAGE_SIZE, PhysicalAddress, RamOffset, VirtualAddress
from ...memory.ram import GuestRam

_MAGIC = b"VMCOREINFO\0"
_HEADER = struct.Struct("<III")
_NAME_END = _HEADER.size + 12
# VMCOREINFO_BYTES is a page; a description that claims more is no note, or one whose size was overwritten.
_MAX_TEXT = 2 * PAGE_SIZE
# The end of the header, type 0, and the padded name: which a note has and the bare string lacks.
_SIGNATURE = bytes(4) + _MAGIC + bytes(1)
_SIGNATURE_AT = _HEADER.size - 4
_MAX_NOTES = 1 << 15
_LINE = re.compile(r"([A-Z][A-Za-z0-9_\-]*(?:\([\w.\-]+\))?)=([\x20-\x7e]*)")
_ADDRESS_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class VmCoreInfo:
    """One note: its `values` by key as the kernel wrote them, and the `physical` address of its header."""

    values: Mapping[str, str]
    physical: PhysicalAddress

    def symbol(self, name: str) -> VirtualAddress | None:
        """Run-time address of kernel symbol `name`, None where the note does not list it."""
        return self._number(f"SYMBOL({name})", 16)

    def number(self, name: str) -> int | None:
        """The value of ``NUMBER(name)``, None where the note does not list it."""
        text = self.values.get(f"NUMBER({name})", "")
        return int(text) if re.fullmatch(r"-?\d{1,20}", text) else None

    @property
    def kernel_offset(self) -> int:
        """How far KASLR moved the kernel image from its link address, in bytes; 0 without KASLR."""
        return self._number("KERNELOFFSET", 16) or 0

    @property
    def release(self) -> str:
        """What ``uname -r`` prints in the guest."""
        return self.values.get("OSRELEASE", "")

    @property
    def build_id(self) -> str:
        """Names the kernel build in lower-case hex: its ELF build id, or a hash of what KASLR leaves alone."""
        stated = self.values.get("BUILD-ID", "")
        if re.fullmatch(r"[0-9a-f]{16,64}", stated):
            return stated
        fixed = sorted(
            f"{key}={value}" for key, value in self.values.items() if key.startswith(("OS", "OFF", "SIZE", "LEN"))
        )
        return hashlib.sha256("\n".join(fixed).encode()).hexdigest()[:40]

    def _number(self, key: str, base: int) -> VirtualAddress | None:
        text = self.values.get(key, "")
        return VirtualAddress(int(text, base) & _ADDRESS_MASK) if re.fullmatch(r"[0-9a-fA-F]{1,16}", text) else None


def parse_note(data: bytes, physical: PhysicalAddress) -> VmCoreInfo | None:
    """The note whose ELF header starts `data`, None when it is not one of a 4 KiB-page kernel."""
    if len(data) < _NAME_END:
        return None
    name_size, text_size, note_type = _HEADER.unpack_from(data)
    if name_size != len(_MAGIC) or note_type != 0 or not 0 < text_size <= _MAX_TEXT:
        return None
    text = data[_NAME_END : _NAME_END + text_size].split(b"\0", 1)[0]
    values: dict[str, str] = {}
    for line in text.decode("latin-1").splitlines():
        if match := _LINE.fullmatch(line):
            values[match[1]] = match[2]
    if not values.get("OSRELEASE") or values.get("PAGESIZE") != str(PAGE_SIZE):
        return None
    return VmCoreInfo(values, physical)


def read_note(ram: GuestRam, physical: PhysicalAddress) -> VmCoreInfo | None:
    """The note whose ELF header is at `physical`, None when there is none; `AddressError` outside RAM."""
    length = max(min(_NAME_END + _MAX_TEXT, ram.layout.end - physical), 1)
    return parse_note(ram.read(physical, length), physical)


def note_bytes(ram: GuestRam, physical: PhysicalAddress) -> bytes:
    """The note at `physical` as it stands in RAM, with its ELF header, in whole words."""
    _, text_size, _ = _HEADER.unpack(ram.read(physical, _HEADER.size))
    return ram.read(physical, _NAME_END + -(-min(text_size, _MAX_TEXT) // 4) * 4)


def iter_vmcoreinfo(ram: GuestRam) -> Iterator[VmCoreInfo]:
    """Yield every well-formed note in RAM, ascending: a rebooted guest may still hold one of the kernel before.

    The kernel gives the note a page of its own (``alloc_pages_exact``), so a note
    that does not begin a page is skipped: false notes that fill memory cost one check a page.
    """
    found = 0
    for offset in _signed_pages(ram):
        try:
            info = read_note(ram, ram.layout.to_physical(offset))
        except AddressError:
            continue
        if info is not None:
            yield info
            found += 1
            if found == _MAX_NOTES:
                return


def _signed_pages(ram: GuestRam) -> Iterator[RamOffset]:
    """Yield the offset of each page that begins as a note does, ascending; skips pages that were never touched."""
    first, second = np.frombuffer(_SIGNATURE, "<u8")
    pages = ram.pages()
    for start, end in ram.resident_runs():
        # Data that starts within a page leaves the beginning of that page zero.
        row = -(-start >> PAGE_SHIFT)
        words = pages[row : -(-end >> PAGE_SHIFT), _SIGNATURE_AT : _SIGNATURE_AT + len(_SIGNATURE)].view("<u8")
        for match in np.flatnonzero((words[:, 0] == first) & (words[:, 1] == second)).tolist():
            yield RamOffset(row + match << PAGE_SHIFT)


def find_vmcoreinfo(ram: GuestRam) -> VmCoreInfo:
    """The first well-formed note in RAM; `NotBootedError` while there is none.

    >>> find_vmcoreinfo(ram).release
    '6.1.0-56-cloud-amd64'
    """
    for info in iter_vmcoreinfo(ram):
        return info
    raise NotBootedError(
        "guest RAM holds no VMCOREINFO note yet; wait until the kernel has booted, or use Linux 6.0 or later"
    )
