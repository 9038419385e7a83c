"""A guest's kernel as its own RAM describes it: note, page tables, symbols and types together.

>>> kernel = KernelSymbols.load(ram)
>>> kernel.release
'6.1.0-56-cloud-amd64'
>>> kernel.lookup("init_task")
[Symbol(name='init_task', address=18446744071606217280, symbol_type='D', offset=0)]
>>> kernel.lookup("0xffffffff81000010")[0].offset
16

Nothing but RAM is read: no kernel file, no System.map, no debug package, no register of a vCPU.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ..addresses import PAGE_SHIFT, PhysicalAddress, VirtualAddress
from ..errors import GlassBoxError, GuestError, NotBootedError, NoTypesError
from ..paging import PageTables
from ..protocol import Symbol
from ..ram import GuestRam
from . import cache
from .btf import Btf, parse_btf
from .isf import Json, to_isf
from .kallsyms import KallsymsTable, RawKallsyms, decode_kallsyms, read_kallsyms
from .vmcoreinfo import VmCoreInfo, iter_vmcoreinfo, read_note

logger = logging.getLogger(__name__)

_KERNEL_IMAGE_BASE = 0xFFFFFFFF80000000
_MAX_BTF_BYTES = 64 << 20
_MAX_TASK_BYTES = 16 << 10
_MAX_BANNER_BYTES = 512
_U64 = (1 << 64) - 1
# arch/x86/include/asm/cpufeatures.h: X86_FEATURE_PTI is bit 11 of word 7.
_FEATURE_PTI = 7 * 32 + 11
_CACHED = ("addresses", "starts", "text", "records")
_SECTION_BOUNDS = (
    ("text", "_stext", "_etext"),
    ("rodata", "__start_rodata", "__end_rodata"),
    ("data", "_sdata", "_edata"),
    ("init", "__init_begin", "__init_end"),
    ("bss", "__bss_start", "__bss_stop"),
)


@dataclass(frozen=True, slots=True)
class KernelSection:
    """A part of the kernel image: text, rodata, data, init or bss, from `start` up to but not including `end`."""

    name: str
    start: VirtualAddress
    end: VirtualAddress


class KernelSymbols:
    """The kernel that runs in a guest.

    Attributes:
        info: its VMCOREINFO note.
        page_tables: its own address space.
        kallsyms: its symbols, at their run-time addresses.
    """

    def __init__(self, ram: GuestRam, info: VmCoreInfo) -> None:
        """Read the kernel that note `info` describes; `GuestError` where RAM does not bear it out."""
        self.ram = ram
        self.info = info
        self.page_tables = kernel_page_tables(ram, info)
        raw = read_kallsyms(info, self.page_tables)
        self._btf_bytes = b""
        self.cache_key = ""
        self._btf: Btf | None = None
        self.kallsyms = self._from_cache_or_ram(raw)
        self._check_init_task()

    @classmethod
    def load(cls, ram: GuestRam) -> KernelSymbols:
        """The kernel that runs in the guest whose memory is `ram`.

        Every note in RAM is tried, for one may be left over from before a reboot. Raises `NotBootedError`
        when none leads to a running kernel.
        """
        reason = ""
        for info in iter_vmcoreinfo(ram):
            try:
                return cls(ram, info)
            except NoTypesError:
                raise
            except GlassBoxError as error:
                logger.debug("note at %#x: %s", info.physical, error)
                reason = f" ({str(error).split(';')[0]})"
        raise NotBootedError(
            f"no running Linux kernel describes itself in guest RAM{reason}; wait until it has booted, or use Linux 6.0 or later"
        )

    def __repr__(self) -> str:
        return f"KernelSymbols({self.release!r}, kaslr_offset={self.kaslr_offset:#x}, {len(self.kallsyms)} symbols)"

    @property
    def release(self) -> str:
        """What ``uname -r`` prints in the guest."""
        return self.info.release

    @property
    def build_id(self) -> str:
        """Names the kernel build, in hex."""
        return self.info.build_id

    @property
    def kaslr_offset(self) -> int:
        """Bytes from a link-time address to where the kernel runs; 0 without KASLR."""
        return self.info.kernel_offset

    @property
    def btf(self) -> Btf:
        """The kernel's types; `NoTypesError` when it carries none."""
        if self._btf is None:
            raise NoTypesError(f"kernel {self.release} carries no BTF types; use one built with CONFIG_DEBUG_INFO_BTF")
        return self._btf

    @cached_property
    def isf_path(self) -> Path:
        """The whole Volatility symbol file of this build, written to the cache when first asked for."""
        return cache.find_or_make_json(self.cache_key, lambda: self.isf(core=False))

    @cached_property
    def core_isf_path(self) -> Path:
        """The smaller symbol file that `volatility_adapter` loads (`isf.CORE_TYPES`)."""
        return cache.find_or_make_json(f"{self.cache_key}.core", lambda: self.isf(core=True))

    def isf(self, core: bool) -> Json:
        """The Volatility symbol document, whole or `core` only; `NoTypesError` without BTF."""
        link_time = self.kallsyms.moved(-self.kaslr_offset)
        return to_isf(self.btf, link_time, self.release, self.build_id, self._banner(), core)

    def is_current(self) -> bool:
        """Whether the guest still runs this kernel: False after a reboot."""
        try:
            found = read_note(self.ram, self.info.physical)
            return found == self.info and self._init_task_is_there()
        except GlassBoxError:
            return False

    def lookup(self, wanted: str) -> list[Symbol]:
        """The symbols called `wanted`, or the one that covers address `wanted` (hexadecimal with 0x, or decimal).

        An empty list when there is none. The kernel image only: symbols of modules are not searched.
        """
        if re.fullmatch(r"0[xX][0-9a-fA-F]{1,16}|\d{1,20}", wanted):
            symbol = self.kallsyms.at(VirtualAddress(int(wanted, 0 if wanted[:2].lower() == "0x" else 10)))
            return [] if symbol is None else [symbol]
        return self.kallsyms.lookup(wanted)

    def address_of(self, name: str) -> VirtualAddress:
        """Run-time address of kernel symbol `name`; `GuestError` when the kernel has none."""
        address = self.kallsyms.address_of(name)
        if address is None:
            raise GuestError(f"kernel {self.release} has no symbol {name}; use one built with CONFIG_KALLSYMS_ALL")
        return address

    def sections(self) -> list[KernelSection]:
        """The parts of the kernel image, in the order of their addresses; those without symbols are left out.

        What lies in init is given back to the allocator once the kernel has booted.
        """
        sections = []
        for name, first, last in _SECTION_BOUNDS:
            start, end = self.kallsyms.address_of(first), self.kallsyms.address_of(last)
            if start is not None and end is not None and start < end:
                sections.append(KernelSection(name, start, end))
        return sorted(sections, key=lambda section: section.start)

    @cached_property
    def has_page_table_isolation(self) -> bool:
        """Whether each process has a second root page table for user mode (``CONFIG_PAGE_TABLE_ISOLATION`` at work)."""
        cpu = self.kallsyms.address_of("boot_cpu_data")
        if cpu is None or self._btf is None or (member := self._btf.find_member("cpuinfo_x86", "x86_capability")) is None:
            return False
        byte = self.page_tables.read(VirtualAddress(cpu + member.offset + _FEATURE_PTI // 8), 1)[0]
        return bool(byte >> (_FEATURE_PTI % 8) & 1)

    def _from_cache_or_ram(self, raw: RawKallsyms) -> KallsymsTable:
        """Symbols, and types where there are any, decoded here or by whoever booted this build before."""
        offset = self.kaslr_offset
        if raw.absolutes:
            # Whole addresses move with KASLR, so their bytes do not name a build.
            table = decode_kallsyms(raw)
            self._read_types(table)
            self.cache_key = f"{self.build_id}-{_hex(table.moved(-offset).addresses.tobytes(), self._btf_bytes)}"
            return table
        ...


def kernel_page_tables(ram: GuestRam, info: VmCoreInfo) -> PageTables:
    """The kernel's own page tables, as note `info` places them; `GuestError` when it does not."""
    root = info.symbol("init_top_pgt") or info.symbol("swapper_pg_dir")
    phys_base = info.number("phys_base")
    if root is None or phys_base is None:
        raise GuestError("the kernel's VMCOREINFO note does not say where its page tables are; use an x86-64 kernel")
    physical = PhysicalAddress((root - _KERNEL_IMAGE_BASE + phys_base) & _U64)
    return PageTables(ram, physical, 5 if info.number("pgtable_l5_enabled") == 1 else 4)
