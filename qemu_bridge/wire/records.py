"""Records that the daemon, its clients and the viewer share: no I/O here.

Every record is frozen. On the wire a record is a JSON object of its fields; a reader ignores fields it does not
know, so a record may gain fields without a new version of the protocol (`PROTOCOL_VERSION`, docs/protocol.md).
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Iterator
from enum import Enum, IntEnum
from typing import Annotated, Any, Generic, TypeAlias, TypeVar

import msgspec

from ..memory.addresses import PageFrame, PhysicalAddress, RamOffset, VirtualAddress

PROTOCOL_VERSION = 3

ADDRESS_PATTERN = "^0x[0-9a-f]{1,16}$"
ADDRESS = msgspec.Meta(extra_json_schema={"pattern": ADDRESS_PATTERN})
"""Marks a field as an address: an integer in Python, a string of hex in JSON (`wire.json_text`)."""
Virtual: TypeAlias = Annotated[VirtualAddress, ADDRESS]
Physical: TypeAlias = Annotated[PhysicalAddress, ADDRESS]
AnyAddress: TypeAlias = Annotated[int, ADDRESS]
"""An address of a space that another field, or the record, names; also a page-table root."""
PATH = msgspec.Meta(extra_json_schema={"format": "path"})
HostPath: TypeAlias = Annotated[str, PATH]
"""A path on the daemon's host, or what may be one: a service for others decides which of its files they may name."""

T = TypeVar("T")
E = TypeVar("E")


class Record(msgspec.Struct, frozen=True):
    """Base of all records: frozen, slotted, checked when it is decoded."""


@functools.cache
def path_fields(record: type[msgspec.Struct]) -> tuple[tuple[str, ...], ...]:
    """Which fields of `record`, and of records in it, are a `HostPath`: the names that lead to each."""
    found: list[tuple[str, ...]] = []
    for field in msgspec.structs.fields(record):
        for kind in (field.type, *typing.get_args(field.type)):
            if PATH in getattr(kind, "__metadata__", ()):
                found.append((field.name,))
            elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                found += [(field.name, *rest) for rest in path_fields(kind)]
    return tuple(dict.fromkeys(found))


class Blob(bytes):
    """Raw bytes in a record, sent as a frame of their own after the JSON."""


class Runstate(str, Enum):
    """The machine's runstate, as QEMU names it (``query-status``)."""

    RUNNING = "running"
    PAUSED = "paused"
    PRELAUNCH = "prelaunch"
    INMIGRATE = "inmigrate"
    POSTMIGRATE = "postmigrate"
    FINISH_MIGRATE = "finish-migrate"
    RESTORE_VM = "restore-vm"
    SAVE_VM = "save-vm"
    SHUTDOWN = "shutdown"
    SUSPENDED = "suspended"
    WATCHDOG = "watchdog"
    GUEST_PANICKED = "guest-panicked"
    INTERNAL_ERROR = "internal-error"
    IO_ERROR = "io-error"
    DEBUG = "debug"
    COLO = "colo"


class Origin(str, Enum):
    """The kind of backend: a QEMU that the daemon started, an attached QEMU, a RAM image, or a capture."""

    STARTED = "started"
    ATTACHED = "attached"
    IMAGE = "image"
    CAPTURE = "capture"


class Grade(str, Enum):
    """Whether an answer describes one moment."""

    LIVE = "live"
    """The guest ran while its RAM was read."""
    PAUSED = "paused"
    """The guest's vCPUs were stopped."""
    CAPTURE = "capture"
    """A capture or a RAM image: it never changes."""
    RECORDED = "recorded"
    """One moment of a recording."""


class Answer(Record, Generic[T], frozen=True):
    """An answer about guest RAM, with how far to trust it.

    Attributes:
        value: the answer itself.
        grade: whether the guest was paused while RAM was read.
        epoch: the dirty log's epoch when RAM was read: pass it to `dirty` to learn what changed since. 0 before the first `dirty`.
        skipped: one sentence for each thing that could not be read; empty when the answer is complete.
        elapsed_s: seconds that answering took, without time in the queue.
    """

    # In Python an answer whose value is a tuple is iterated, counted and indexed like it, and a notebook shows it as a table.

    value: T
    grade: Grade = Grade.LIVE
    epoch: int = 0
    skipped: tuple[str, ...] = ()
    elapsed_s: float = 0.0

    @property
    def is_complete(self) -> bool:
        """Whether nothing was left out."""
        return not self.skipped

    def __iter__(self: Answer[tuple[E, ...]]) -> Iterator[E]:
        return iter(self.value)

    def __bool__(self) -> bool:
        return bool(self.value) if isinstance(self.value, tuple) else True

    def __len__(self: Answer[tuple[E, ...]]) -> int:
        return len(self.value)

    def __getitem__(self: Answer[tuple[E, ...]], index: int) -> E:
        return self.value[index]

    def _repr_html_(self) -> str:
        from .html import table_html  # notebooks only

        return table_html(self.value, self.grade.value, self.skipped)


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
        """The class in words, for people: ``kernel text``."""
        return self.name.lower().replace("_", " ")

    @property
    def word(self) -> str:
        """The class in records and targets: ``kernel-text``."""
        return self.label.replace(" ", "-")


class Owner(Record, frozen=True):
    """The owner of pages.

    Attributes:
        owner_id: in the entries of one generation of the page map; 0 in a `MemoryDifference`.
        pid: 0 where the owner is no process.
        name: of the process, file, slab cache, module or symbol.
        kind: ``nobody`` (no owner), ``kernel``, ``process``, ``page-table``, ``stack``, ``slab``, ``file``, ``module`` or ``reason``.
        detail: device and inode of a file, or why a page is unknown.
    """

    owner_id: int
    pid: int
    name: str
    kind: str = "process"
    detail: str = ""


class Process(Record, frozen=True):
    """One thread group of the guest.

    Attributes:
        pid, parent_pid, uid: as ``/proc/PID/status`` shows them.
        state: the letter of ``ps``.
        page_table: physical address of its top page table, None for a kernel thread, and for a process that has ended.
        resident_pages: in RAM, as ``/proc/PID/statm`` counts them.
        swapped_pages: on a swap device.
    """

    pid: int
    parent_pid: int
    uid: int
    state: str
    name: str
    command_line: str
    page_table: AnyAddress | None
    thread_count: int
    resident_pages: int
    swapped_pages: int = 0


class MemoryMapping(Record, frozen=True):
    """One virtual memory area of a process, as a line of ``/proc/PID/maps`` shows it."""

    start: Virtual
    end: Virtual
    permissions: str
    file_offset: int
    device: str
    inode: int
    path: str


class Module(Record, frozen=True):
    """One loaded kernel module: `base` and `size` (bytes) as ``/proc/modules`` shows them."""

    name: str
    base: Virtual
    size: int
    state: str
    used_by: tuple[str, ...]


class Symbol(Record, frozen=True):
    """A symbol of the kernel or of a module.

    Attributes:
        symbol_type: the letter of ``/proc/kallsyms``.
        offset: distance of the address asked for from it.
        module: the module that defines it, empty for the kernel image.
    """

    name: str
    address: Virtual
    symbol_type: str
    offset: int = 0
    module: str = ""


class SlabObject(Record, frozen=True):
    """A slab object: its cache, its start, its `size` in bytes, its index in the slab, and the offset of the byte asked for in it."""

    cache: str
    start: Physical
    size: int
    index: int
    offset: int


class PlaceMapping(Record, frozen=True):
    """One mapping of a place: process `pid` sees it at `virtual`, in its memory area `start` to `end`, named `area`."""

    pid: int
    name: str
    virtual: Virtual
    start: Virtual
    end: Virtual
    permissions: str
    area: str


class Place(Record, frozen=True):
    """All that is known of one byte of guest RAM.

    Attributes:
        physical, ram_offset, frame: guest-physical address, offset in the RAM file, page frame number.
        virtual: the virtual address asked for, None if it was not a virtual one.
        kernel_address: its kernel virtual address, in the image or the direct map.
        page_class, order: of its page; a free block or compound page has 2^order pages.
        owners: the page map's first, then every process that maps the page.
        mappings: where those processes map it.
        symbol: the symbol that covers a byte of the kernel image or of a module.
        slab: the slab object that contains it.
        file, file_offset: for a page of a file, its path and the byte's offset in it.
        table_level: level of a page table; 1 is the lowest.
        generation, grade: of the page map used.
        skipped: what could not be read; empty means complete.
    """

    physical: Physical
    ram_offset: RamOffset
    frame: PageFrame
    virtual: Virtual | None
    kernel_address: Virtual | None
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


class TargetRange(Record, frozen=True):
    """`size` bytes of RAM of one class, at guest-physical `physical` and at `ram_offset` in the RAM file."""

    physical: Physical
    ram_offset: RamOffset
    size: int
    page_class: str
    owner: str = ""


class TargetMemory(Record, frozen=True):
    """The memory of a target: its ranges, ascending and disjoint, and all their bytes; complete when nothing was `skipped`."""

    ranges: tuple[TargetRange, ...]
    total_bytes: int
    generation: int = 0
    grade: str = Grade.LIVE.value
    skipped: tuple[str, ...] = ()


DELETED = " (deleted)"
"""What the name of a removed file ends with."""


class FileRun(Record, frozen=True):
    """`size` bytes of a file from `offset` on, in RAM at guest-physical `physical`."""

    offset: int
    size: int
    physical: Physical


class FileInMemory(Record, frozen=True):
    """A file that the kernel knows, and how much of it is in RAM.

    Attributes:
        path: its name as process 1 sees it, with " (deleted)" where it has been removed.
        filesystem: the type of its file system.
        device: number of the device of its file system, as in ``/proc/PID/maps``.
        mode: type and permissions, as in ``stat``.
        mtime_s: when it was changed, in seconds since 1970.
        in_memory: bytes of it that are in RAM, at most `size`.
        swapped: bytes of it that are on a swap device.
        is_of_memory: it lives in memory alone, as in tmpfs or a memfd: what is neither in RAM nor swapped is zeros.
        link: what a symbolic link leads to, where that is in memory.
        runs: where it is in RAM, by offset; empty unless asked for.
    """

    path: str
    filesystem: str
    device: str
    inode: int
    mode: int
    uid: int
    gid: int
    mtime_s: int
    size: int
    in_memory: int
    swapped: int
    is_of_memory: bool
    link: str = ""
    runs: tuple[FileRun, ...] = ()


class FindingKind(str, Enum):
    """What `hunt` found."""

    HIDDEN_TASK = "hidden-task"
    """A task that is missing in the list of tasks or in the table of pids."""
    SYSTEM_CALL = "system-call"
    """An entry of the table of system calls that leads elsewhere."""
    INTERRUPT_GATE = "interrupt-gate"
    """A gate of the table of interrupts that leads elsewhere."""
    FUNCTION_HOOK = "function-hook"
    """A function of the kernel image that begins with a jump out of it."""
    CONSTANT_HOOK = "constant-hook"
    """A constant of the kernel image that leads into code that was loaded later."""
    HIDDEN_MODULE = "hidden-module"
    """A module that is missing in the list of modules or in ``/sys/module``."""
    UNOWNED_CODE = "unowned-code"
    """Memory that the kernel may execute and that belongs to nobody."""
    MEMORY_CODE = "memory-code"
    """A process that executes a memfd."""
    REMOVED_CODE = "removed-code"
    """A process that executes a file that was removed."""
    ANONYMOUS_CODE = "anonymous-code"
    """A process that may execute memory of no file."""
    WRITABLE_CODE = "writable-code"
    """A process that may write to code of a file."""
    PRELOAD = "preload"
    """A process whose environment loads libraries before all others."""
    SHARED_CREDENTIALS = "shared-credentials"
    """A process that has the credentials of another."""


class Finding(Record, frozen=True):
    """Something in a guest that hides, or is not as the kernel made it.

    Attributes:
        kind: which comparison found it.
        subject: whom or what it is about.
        verdict: what it means, a sentence.
        evidence: what was read, a line each.
        address: of the structure, the entry or the code that it is about.
        pid: the process that it is about, if it is about one.
    """

    kind: FindingKind
    subject: str
    verdict: str
    evidence: tuple[str, ...]
    address: Virtual
    pid: int | None = None


class TypeField(Record, frozen=True):
    """A field of a kernel type: its `path` from the outermost type, its start in bits, and how to interpret it.

    Attributes:
        size: bytes of it, or of one of its `count` elements if it is an array.
        bit_size: of a bit field, else 0.
        count: elements of an array, 0 for none.
        kind: int, uint, bool, char, pointer, float, or bytes for a type that is not expanded.
        names: of an enumeration, by value in decimal.
    """

    path: str
    type_name: str
    bit_offset: int
    size: int
    bit_size: int = 0
    count: int = 0
    kind: str = "bytes"
    names: dict[str, str] = {}

    @property
    def offset(self) -> int:
        """Bytes from the start of the outermost type."""
        return self.bit_offset >> 3


class TypeLayout(Record, frozen=True):
    """A struct or union of the kernel: its size in bytes and its fields, flattened, in order of offset."""

    name: str
    size: int
    fields: tuple[TypeField, ...]


class OverlayInfo(Record, frozen=True):
    """One available overlay; `origin` is ``built in``, the name of a Python distribution, or a file."""

    name: str
    summary: str
    columns: tuple[str, ...]
    origin: str


class OverlayTable(Record, frozen=True):
    """The rows of an overlay.

    Attributes:
        columns: those to show: a field's name, optionally with a colon and a format (``address:#x``); ``x`` marks an address.
        rows: all fields of each (docs/overlays.md).
        complete: whether nothing is missing.
        skipped: one sentence for each thing that is missing.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]
    complete: bool
    skipped: tuple[str, ...]


class TraceState(str, Enum):
    """State of a machine's trace plugin."""

    ABSENT = "absent"
    """The plugin is not loaded, or QEMU has ended."""
    DISARMED = "disarmed"
    ARMED = "armed"
    WAITING = "waiting"
    """Armed, and a vCPU waits for the reader."""
    FAILED = "failed"
    """Disarmed because of `TraceStatus.error`."""


class Status(Record, frozen=True):
    """A machine as its daemon sees it. Sizes in bytes, paths on the daemon's host.

    Attributes:
        ready: the guest's user space is up; always true of a machine that was not started here, as no readiness signal exists.
        touched_bytes: RAM that the host has allocated.
        dirty_strategy: how changed pages are found (docs/concepts.md); before the first `dirty`, how they will be.
        qemu_pid: 0 unless the daemon started QEMU.
        qmp, console: paths of a QMP socket for scripts and of the console log, empty where there is none.
        cpu_s: processor time of QEMU so far, null unless the daemon started it.
        trace: state of the trace plugin.
        epoch, epochs_per_s: newest epoch of the dirty log, and how many clients took a second over the last ten seconds.
        daemon_cpu_s: processor time of the daemon and what it started, QEMU left out.
        net, address: the network between guests that it is on and its IPv4 address there; empty without one.
        daemon_bytes: resident memory of the daemon and of the worker that reads RAM, the guest's RAM left out.
    """

    name: str
    runstate: Runstate
    ready: bool
    image: str
    machine: str
    accelerator: str
    vcpus: int
    ram_bytes: int
    touched_bytes: int
    dirty_strategy: str
    uptime_s: float
    origin: Origin
    ram: str
    qemu_pid: int
    daemon_pid: int
    qmp: str
    console: str
    cpu_s: float | None = None
    trace: TraceState = TraceState.ABSENT
    epoch: int = 0
    epochs_per_s: float = 0.0
    daemon_cpu_s: float = 0.0
    daemon_bytes: int = 0
    net: str = ""
    address: str = ""


class KernelInfo(Record, frozen=True):
    """The running kernel: its release, its build id in hex, its KASLR offset in bytes."""

    release: str
    build_id: str
    kaslr_offset: int


class Checkpoint(Record, frozen=True):
    """A moment of a machine that it can be brought back to.

    Attributes:
        tag, name: of the checkpoint, and of the machine.
        taken_at: seconds since 1970.
        paused_s: how long the guest stood still for it; 0 if it was paused already.
        ram_bytes, device_bytes: of the touched RAM, and of the state of vCPUs and devices.
        ready: the guest's user space was up.
        qemu_pid, qemu_started: the QEMU that it is of, by pid and start in clock ticks.
    """

    tag: str
    name: str
    taken_at: float
    paused_s: float
    ram_bytes: int
    device_bytes: int
    ready: bool
    qemu_pid: int
    qemu_started: int


class Fork(Record, frozen=True):
    """A machine that began as another one was at a moment.

    Attributes:
        name, parent: of the new machine, and of the one that it was forked from.
        forked_at: seconds since 1970.
        paused_s: how long the parent stood still for it; 0 if it was paused already.
        ram_bytes, device_bytes: of the touched RAM that was copied, and of the state of vCPUs and devices.
    """

    name: str
    parent: str
    forked_at: float
    paused_s: float
    ram_bytes: int
    device_bytes: int


class ExecResult(Record, frozen=True):
    """What a command in the guest wrote, and how it ended.

    Attributes:
        exit_status: of the command; 127 where there is none of that name, 128 and its number for a signal.
        output, errors: its standard output and standard error; of a guest without a fourth serial port both are in `output`.
        timed_out: it ran into `timeout_s`, and the guest killed it; the status is then 143, 124 or 137.
    """

    exit_status: int
    output: Blob
    errors: Blob
    timed_out: bool = False


class PageMapHeader(Record, frozen=True):
    """A generation of the page map: its number, and the owners that its entries name. The entries are in the shared file."""

    generation: int
    owners: tuple[Owner, ...]


class HeatWatch(Record, frozen=True):
    """A watch on heat: its number, and the trace's shared file, which holds the counters."""

    watcher: int
    path: str


class MemorySpace(str, Enum):
    """The address space of an address."""

    PHYSICAL = "physical"
    VIRTUAL = "virtual"
    """Of a process, else of the kernel."""
