"""A guest's kernel as its own RAM describes it: note, page tables, symbols and types together.

>>> kernel = KernelSymbols.load(ram)
>>> kernel.release
'6.1.0-56-cloud-amd64'
>>> hex(kernel.address_of("init_task"))
'0xffffffff8261a240'

Nothing but RAM is read: no kernel file, no System.map, no debug package, no register of a vCPU.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ...errors import AddressError, GlassBoxError, GuestError, NotBootedError, NoTypesError
from ...memory.addresses import PhysicalAddress, VirtualAddress
from ...memory.paging import PageTables
from ...memory.ram import GuestRam
from ..budget import reason_of
from . import cache, releases
from .btf import Btf, parse_btf
from .isf import SYMBOL_TYPES, Json, to_isf
from .kallsyms import KallsymsTable, RawKallsyms, decode_kallsyms, read_kallsyms
from .vmcoreinfo import VmCoreInfo, iter_vmcoreinfo, read_note

logger = logging.getLogger(__name__)

_KERNEL_IMAGE_BASE = 0xFFFFFFFF80000000
_MAX_BTF_BYTES = 64 << 20
_MAX_TASK_BYTES = 16 << 10
_MAX_BANNER_BYTES = 512
_MAX_CPUS = 1 << 13
_SWAPPER = b"swapper"
_U64 = (1 << 64) - 1
# arch/x86/include/asm/cpufeatures.h: X86_FEATURE_PTI is bit 11 of word 7.
_FEATURE_PTI = 7 * 32 + 11
_CUSTOMARY_STEXT = 0xFFFFFFFF81000000
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
        """Read the kernel that note `info` describes; `GuestError` where RAM contradicts it."""
        self.ram = ram
        self.info = info
        self.page_tables = kernel_page_tables(ram, info)
        self._features: dict[str, bool] = {}
        self._types: Btf | None = None
        self._btf_is_read = False
        raw = read_kallsyms(info, self.page_tables)
        self._kallsyms_digest = raw.digest()
        key = f"{info.build_id}-{self._kallsyms_digest.hex()}"
        recalled = _recall(raw, key)
        self.kallsyms = decode_kallsyms(raw) if recalled is None else recalled
        self._swapper = self._find_swapper()
        if not self._init_task_is_there():
            raise GuestError("the kernel's first task is not where its symbols say; is the guest still booting?")
        # Only now: data that is no kernel must not evict real ones from the cache.
        if recalled is None:
            _keep(raw, key, self.kallsyms)

    @classmethod
    def load(cls, ram: GuestRam, likely: PhysicalAddress | None = None) -> KernelSymbols:
        """The kernel that runs in the guest whose memory is `ram`.

        Every note in RAM is tried, for one may be left over from before a reboot; first that at `likely`, where somebody has
        found the running kernel's before. Raises `NotBootedError` when none leads to a running kernel.
        """
        reason = ""
        for info in itertools.chain(_notes_at(ram, likely), iter_vmcoreinfo(ram)):
            try:
                return cls(ram, info)
            except GlassBoxError as error:
                logger.debug("note at %#x: %s", info.physical, error)
                reason = f" ({reason_of(error)})"
        raise NotBootedError(
            f"no running Linux kernel found in guest RAM{reason}; wait until it has booted, or use Linux 6.0 or later"
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
        """The Volatility symbol file of this build, written to the cache on first use."""
        return cache.find_or_make_json(self._isf_key(), self.isf)

    def isf(self) -> Json:
        """The Volatility symbol document; `NoTypesError` without BTF."""
        link_time = self.kallsyms.moved(-self.kaslr_offset)
        return to_isf(self.btf, link_time, self.release, self.build_id, self._banner())

    def is_current(self) -> bool:
        """Whether the guest still runs this kernel: False after a reboot."""
        try:
            found = read_note(self.ram, self.info.physical)
            return found == self.info and self._init_task_is_there()
        except GlassBoxError:
            return False

    def address_of(self, name: str) -> VirtualAddress:
        """Run-time address of kernel symbol `name`; `GuestError` when the kernel has none."""
        address = self.kallsyms.address_of(name)
        if address is None:
            raise GuestError(f"kernel {self.release} has no symbol {name}; use one built with CONFIG_KALLSYMS_ALL")
        return address

    def sections(self) -> list[KernelSection]:
        """The parts of the kernel image, in the order of their addresses; those without symbols are left out.

        What is in init is given back to the allocator once the kernel has booted.
        """
        sections = []
        for name, first, last in _SECTION_BOUNDS:
            start, end = self.kallsyms.address_of(first), self.kallsyms.address_of(last)
            if start is not None and end is not None and start < end:
                sections.append(KernelSection(name, start, end))
        return sorted(sections, key=lambda section: section.start)

    def has(self, feature: str) -> bool:
        """Whether this kernel has `feature` of `releases.DIFFERENCES`; `KeyError` for one that the table lacks."""
        if feature not in self._features:
            self._features[feature] = releases.has(feature, self.release, self._btf)
        return self._features[feature]

    @property
    def caveat(self) -> str:
        """What to say with results of this kernel if Glass Box was not tested with its release, else nothing."""
        return releases.caveat(self.release)

    @cached_property
    def per_cpu_symbols(self) -> range:
        """Addresses of per-CPU symbols, to which a CPU adds its ``__per_cpu_offset``.

        They are offsets from zero, and since release 6.15 places in the image's own copy, which the kernel frees at boot.
        """
        start, end = (self.kallsyms.address_of(f"__per_cpu_{edge}") or 0 for edge in ("start", "end"))
        return range(start, end)

    def read_cpu_bases(self) -> list[int]:
        """What each CPU adds to a per-CPU address (``mm/percpu.c``: __per_cpu_offset); empty where the kernel says nothing of it."""
        where, count = (self.kallsyms.address_of(name) for name in ("__per_cpu_offset", "nr_cpu_ids"))
        if where is None or count is None:
            return []
        cpus = int.from_bytes(self.page_tables.read_some(count, 4), "little")
        data = self.page_tables.read_some(where, 8 * min(cpus, _MAX_CPUS))
        return [int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data) - 7, 8)]

    @cached_property
    def has_page_table_isolation(self) -> bool:
        """Whether each process has a second root page table for user mode (``CONFIG_PAGE_TABLE_ISOLATION`` at work)."""
        cpu = self.kallsyms.address_of("boot_cpu_data")
        if (
            cpu is None
            or self._btf is None
            or (member := self._btf.find_member("cpuinfo_x86", "x86_capability")) is None
        ):
            return False
        byte = self.page_tables.read(VirtualAddress(cpu + member.offset + _FEATURE_PTI // 8), 1)[0]
        return bool(byte >> (_FEATURE_PTI % 8) & 1)

    @property
    def _btf(self) -> Btf | None:
        """The types, read on first use; None where there are none or they do not parse.

        A section that is not mapped at the moment is tried again on the next call: page tables of a live guest are read without a lock.
        """
        if not self._btf_is_read:
            try:
                data = self._read_btf()
                self._types = (
                    _parse_or_recall(data, f"{self.build_id}-{self._kallsyms_digest.hex()}.types") if data else None
                )
            except AddressError as error:
                logger.debug("%s", error)
                return None
            except NoTypesError as error:
                logger.warning("%s", error)
            self._btf_is_read = True
        return self._types

    def _read_btf(self) -> bytes:
        """The BTF section, empty when there is none."""
        start, end = self.kallsyms.address_of("__start_BTF"), self.kallsyms.address_of("__stop_BTF")
        if start is None or end is None or not 0 < end - start <= _MAX_BTF_BYTES:
            return b""
        return self.page_tables.read(start, end - start)

    def _find_swapper(self) -> VirtualAddress | None:
        """Where the name of task 0 stands, searched for so that types need not be read; None without that symbol."""
        task = self.kallsyms.address_of("init_task")
        if task is None:
            return None
        at = self.page_tables.read_some(task, _MAX_TASK_BYTES).find(_SWAPPER)
        return VirtualAddress(task + max(at, 0))

    def _init_task_is_there(self) -> bool:
        """Whether task 0 is called swapper, as it is on a kernel that runs. True where symbols do not list it."""
        return self._swapper is None or self.page_tables.read(self._swapper, len(_SWAPPER)) == _SWAPPER

    def _banner(self) -> bytes:
        """What ``/proc/version`` prints, with its newline."""
        start = self.kallsyms.address_of("linux_banner")
        return b"" if start is None else self.page_tables.read_some(start, _MAX_BANNER_BYTES).split(b"\0", 1)[0]

    def _isf_key(self) -> str:
        """Names a symbol file by all that goes into it."""
        link_stext = (self.info.symbol("_stext") or 0) - self.kaslr_offset
        btf_digest = _digest(self.btf.words.data, self.btf.strings)
        parts = (self._kallsyms_digest, btf_digest, link_stext.to_bytes(9, "little", signed=True), self._banner())
        chosen = repr((self.release, SYMBOL_TYPES)).encode()
        return f"{self.build_id}-{_digest(*parts, chosen).hex()}"


def _notes_at(ram: GuestRam, physical: PhysicalAddress | None) -> Iterator[VmCoreInfo]:
    """Yield the note at `physical`, if there is one."""
    with contextlib.suppress(AddressError):
        info = None if physical is None else read_note(ram, physical)
        if info is not None:
            yield info


def _digest(*parts: bytes | memoryview) -> bytes:
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(part)
    return hashed.digest()[:16]


def _recall(raw: RawKallsyms, key: str) -> KallsymsTable | None:
    """The symbol table from the cache, if this build's was kept there.

    Kept with ``_stext`` at its customary link address, which makes the columns a function of the bytes that `key` hashes.
    """
    columns = None if raw.absolutes else cache.load_columns(key, ("addresses", "starts", "text"))
    if columns is None or not len(columns["addresses"]) == len(columns["starts"]) == raw.count:
        return None
    addresses = columns["addresses"].astype(np.uint64, copy=False)
    starts = columns["starts"].astype(np.int64, copy=False)
    table = KallsymsTable(addresses, starts, columns["text"].tobytes())
    return table.moved(raw.stext - _CUSTOMARY_STEXT)


def _keep(raw: RawKallsyms, key: str, table: KallsymsTable) -> None:
    """Put a decoded table into the cache; one of whole addresses is decoded as quickly."""
    if not raw.absolutes:
        addresses = table.moved(_CUSTOMARY_STEXT - raw.stext).addresses
        text = np.frombuffer(table.text, np.uint8)
        cache.store_columns(key, {"addresses": addresses, "starts": table.starts, "text": text})


def _parse_or_recall(data: bytes, key: str) -> Btf:
    """The types; where records begin comes from the cache if known.

    `key` need not match `data`: `parse_btf` uses only record starts that fit the bytes.
    """
    kept = (cache.load_columns(key, ("starts",)) or {}).get("starts")
    btf = parse_btf(data, kept)
    if btf.starts is not kept:
        cache.store_columns(key, {"starts": btf.starts})
    return btf


class KernelImage:
    """The kernel image of note `info`, read where it was loaded: it is contiguous, and page tables are not needed."""

    def __init__(self, ram: GuestRam, info: VmCoreInfo) -> None:
        """`GuestError` when the note does not say where the image is."""
        self._ram = ram
        self._physical_base = _physical_base(info)

    def read(self, virtual: VirtualAddress, length: int) -> bytes:
        """Copy `length` bytes at `virtual`; `AddressError` outside RAM."""
        return self._ram.read(PhysicalAddress((virtual - _KERNEL_IMAGE_BASE + self._physical_base) & _U64), length)

    read_some = read

    def kallsyms(self, info: VmCoreInfo) -> KallsymsTable:
        """The symbols that the image holds; `GuestError` where RAM contradicts note `info`."""
        raw = read_kallsyms(info, self)
        recalled = _recall(raw, f"{info.build_id}-{raw.digest().hex()}")
        return decode_kallsyms(raw) if recalled is None else recalled


def _physical_base(info: VmCoreInfo) -> int:
    base = info.number("phys_base")
    if base is None:
        raise GuestError("the kernel's VMCOREINFO note does not say where its image is; use an x86-64 kernel")
    return base


def page_table_root(info: VmCoreInfo) -> PhysicalAddress:
    """Where note `info` says that the kernel's own root page table is; `GuestError` when it does not."""
    root = info.symbol("init_top_pgt") or info.symbol("swapper_pg_dir")
    if root is None:
        raise GuestError("the kernel's VMCOREINFO note does not say where its page tables are; use an x86-64 kernel")
    return PhysicalAddress((root - _KERNEL_IMAGE_BASE + _physical_base(info)) & _U64)


def kernel_page_tables(ram: GuestRam, info: VmCoreInfo) -> PageTables:
    """The kernel's own page tables, as note `info` places them; `GuestError` when it does not."""
    return PageTables(ram, page_table_root(info), 5 if info.number("pgtable_l5_enabled") == 1 else 4)
