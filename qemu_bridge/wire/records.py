"""Records that the daemon, its clients and the viewer share, and how they travel: no I/O here.

Every record is frozen. `to_json` and `from_json` turn one into a JSON object and back; docs/protocol.md
describes the messages, whose version is `PROTOCOL_VERSION` and not the package's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from enum import Enum, IntEnum
from typing import Any, TypeVar

from ..memory.addresses import PageFrame, PhysicalAddress, RamOffset, VirtualAddress

PROTOCOL_VERSION = 1

Record = TypeVar("Record")


class Grade(str, Enum):
    """How far a result can be trusted to be of one moment."""

    LIVE = "live"
    PAUSED = "paused"
    SNAPSHOT = "snapshot"


class PageClass(IntEnum):
    """What a physical page is. The numbers are part of the page map's file format: append, never reorder."""

    UNTOUCHED = 0
    ZERO = 1
    OTHER = 2
    KERNEL_TEXT = 3
    KERNEL_RODATA = 4
    KERNEL_DATA = 5
    PAGE_TABLE = 6
    PROCESS_TEXT = 7
    PROCESS_HEAP = 8
    PROCESS_STACK = 9
    PROCESS_FILE = 10
    PROCESS_ANONYMOUS = 11
    FREE = 12
    RESERVED = 13
    KERNEL_BSS = 14
    KERNEL_INIT = 15
    PER_CPU = 16
    SLAB = 17
    KERNEL_STACK = 18
    VMALLOC = 19
    MODULE = 20
    MEMMAP = 21
    PAGE_CACHE = 22
    SHMEM = 23
    ZERO_PAGE = 24
    KSM = 25
    HUGE_PAGE = 26
    KERNEL_PAGES = 27

    @property
    def label(self) -> str:
        """The class in words: ``kernel text``."""
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom pages belong to.

    `kind` is nobody, kernel, process, page-table, stack, slab, file, module or reason; `pid` is 0 where no process is
    meant; `detail` says more: the device and inode of a file, why a page is unknown.
    """

    owner_id: int
    pid: int
    name: str
    kind: str = "process"
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Process:
    """One thread group of the guest. `page_table` is the physical address of its top page table, None for a kernel thread."""

    pid: int
    parent_pid: int
    uid: int
    state: str
    name: str
    command_line: str
    page_table: int | None
    thread_count: int
    resident_pages: int


@dataclass(frozen=True, slots=True)
class MemoryMapping:
    """One virtual memory area of a process, as a line of ``/proc/PID/maps`` shows it."""

    start: VirtualAddress
    end: VirtualAddress
    permissions: str
    file_offset: int
    device: str
    inode: int
    path: str


@dataclass(frozen=True, slots=True)
class Module:
    """One loaded kernel module: `base` and `size` (bytes) as ``/proc/modules`` shows them."""

    name: str
    base: VirtualAddress
    size: int
    state: str
    used_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Symbol:
    """A kernel symbol; `symbol_type` is the letter of ``/proc/kallsyms``, `offset` how far past it an address lies.

    `module` is the loaded module that it is of, empty for the kernel image.
    """

    name: str
    address: VirtualAddress
    symbol_type: str
    offset: int = 0
    module: str = ""


@dataclass(frozen=True, slots=True)
class SlabObject:
    """An object of a slab: of which cache, where it starts, its `size` in bytes, its number in the slab, and how far in we are."""

    cache: str
    start: PhysicalAddress
    size: int
    index: int
    offset: int


@dataclass(frozen=True, slots=True)
class PlaceMapping:
    """One way to a place: process `pid` sees it at `virtual`, in its memory area from `start` to `end`, called `area`."""

    pid: int
    name: str
    virtual: VirtualAddress
    start: VirtualAddress
    end: VirtualAddress
    permissions: str
    area: str


@dataclass(frozen=True, slots=True)
class Place:
    """All that is known of one byte of guest RAM.

    Attributes:
        physical, ram_offset, frame: where it is: guest-physical, in the RAM file, and its page frame number.
        virtual: the address that was asked for, None if it was not a virtual one.
        kernel_address: where the kernel sees it, in its image or its direct map.
        page_class, order: of its page; `order` of a free block or a compound page, 2^order pages.
        owners: the page map's first, then every process that maps the page.
        mappings: how those see it.
        symbol: of a byte of the kernel image.
        slab: of a byte of a slab page that is part of an object.
        file, file_offset: the path of a page of a file, and the byte's offset in that file.
        table_level: of a page table; 1 is the lowest.
        generation, grade: of the page map that says this.
        skipped: what could not be looked at; empty means the answer is complete.
    """

    physical: PhysicalAddress
    ram_offset: RamOffset
    frame: PageFrame
    virtual: VirtualAddress | None
    kernel_address: VirtualAddress | None
    touched: bool
    page_class: str
    order: int | None = None
    owners: tuple[Owner, ...] = ()
    mappings: tuple[PlaceMapping, ...] = ()
    symbol: Symbol | None = None
    slab: SlabObject | None = None
    file: str = ""
    file_offset: int | None = None
    table_level: int | None = None
    generation: int = 0
    grade: str = Grade.LIVE.value
    skipped: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Place:
        """The place in a JSON object, with the records inside it."""
        inner: dict[str, Any] = {
            "owners": [from_json(Owner, owner) for owner in row["owners"]],
            "mappings": [from_json(PlaceMapping, mapping) for mapping in row["mappings"]],
            "symbol": row["symbol"] and from_json(Symbol, row["symbol"]),
            "slab": row["slab"] and from_json(SlabObject, row["slab"]),
        }
        return from_json(cls, row | inner)


@dataclass(frozen=True, slots=True)
class TargetRange:
    """`size` bytes of RAM of one class, at guest-physical `physical` and at `ram_offset` in the RAM file."""

    physical: PhysicalAddress
    ram_offset: RamOffset
    size: int
    page_class: str
    owner: str = ""


@dataclass(frozen=True, slots=True)
class TargetMemory:
    """The memory of a target: its ranges, ascending and disjoint, and all their bytes; complete when nothing was `skipped`."""

    ranges: tuple[TargetRange, ...]
    total_bytes: int
    generation: int = 0
    grade: str = Grade.LIVE.value
    skipped: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> TargetMemory:
        """The record in a JSON object, with the ranges inside it."""
        return from_json(cls, row | {"ranges": [from_json(TargetRange, each) for each in row["ranges"]]})


@dataclass(frozen=True, slots=True)
class TypeField:
    """A field of a kernel type: `path` from the outermost, where it starts in bits, and how to read it.

    Attributes:
        size: bytes of it, or of one of its `count` elements if it is an array.
        bit_size: of a bit field, else 0.
        count: elements of an array, 0 for none.
        kind: int, uint, bool, char, pointer, float, or bytes for whatever is left closed.
        names: of an enumeration, by value in decimal.
    """

    path: str
    type_name: str
    bit_offset: int
    size: int
    bit_size: int = 0
    count: int = 0
    kind: str = "bytes"
    names: dict[str, str] = field(default_factory=dict)

    @property
    def offset(self) -> int:
        """Bytes from the start of the outermost type."""
        return self.bit_offset >> 3


@dataclass(frozen=True, slots=True)
class TypeLayout:
    """A struct or union of the kernel: its size in bytes and its fields, flattened, in order."""

    name: str
    size: int
    fields: tuple[TypeField, ...]

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> TypeLayout:
        """The record in a JSON object, with the fields inside it."""
        return from_json(cls, row | {"fields": [from_json(TypeField, each) for each in row["fields"]]})


@dataclass(frozen=True, slots=True)
class OverlayInfo:
    """One overlay that a daemon knows; `origin` is ``built in``, a distribution's entry point, or a file."""

    name: str
    summary: str
    columns: tuple[str, ...]
    origin: str


@dataclass(frozen=True, slots=True)
class OverlayTable:
    """What an overlay showed. Each column names a field of the rows, behind a colon optionally how to print it (``:#x``).

    `skipped` says in sentences what is missing, nothing when `complete`.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]
    complete: bool
    skipped: tuple[str, ...]


def to_json(record: Any) -> dict[str, Any]:  # noqa: ANN401  # any of the records above
    """The JSON object of a record."""
    return asdict(record)


def from_json(kind: type[Record], row: dict[str, Any]) -> Record:
    """The record of class `kind` in a JSON object; keys it does not know are passed over."""
    known = {field.name: row[field.name] for field in fields(kind) if field.name in row}  # type: ignore[arg-type]
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in known.items()})


class TraceState(str, Enum):
    """What the trace plugin of a machine does."""

    ABSENT = "absent"
    """QEMU has not loaded it, or has ended."""
    DISARMED = "disarmed"
    ARMED = "armed"
    WAITING = "waiting"
    """Armed, and a vCPU waits for the reader."""
    FAILED = "failed"
    """Disarmed because of `TraceStatus.error`."""


@dataclass(frozen=True, slots=True)
class VcpuRing:
    """The ring of one vCPU. Chunks are counted since the machine started, over all windows.

    `waits` and `wait_s` say how often and how long the vCPU waited for a free chunk; lost chunks and words were dropped
    because there was none.
    """

    published_chunks: int
    read_chunks: int
    waits: int
    wait_s: float
    lost_chunks: int
    lost_words: int


@dataclass(frozen=True, slots=True)
class TraceStatus:
    """The trace of a machine: what the plugin does and what is recorded.

    `acknowledged` is false while the plugin has not acted on the last command, as in a paused machine. `mode` and
    `features` are numbers of `tcg_plugin.layout.Mode` and `Feature`; `heat` says whether heat is counted; `ids` and
    `translations` count block ids and translated blocks; `vcpus` has a row for each vCPU.
    """

    state: TraceState
    acknowledged: bool
    error: str
    path: str
    plugin_api: int
    window: int
    mode: int
    features: int
    heat: bool
    reader_pid: int
    ids: int
    translations: int
    vcpus: tuple[VcpuRing, ...]

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> TraceStatus:
        """The record in a JSON object, with the rows inside it."""
        vcpus = [from_json(VcpuRing, each) for each in row["vcpus"]]
        return from_json(cls, row | {"state": TraceState(row["state"]), "vcpus": vcpus})
