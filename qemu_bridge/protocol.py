"""Records that the daemon, its clients and the viewer share, and how they travel: no I/O here.

Every record is frozen. `to_json` and `from_json` turn one into a JSON object and back; docs/protocol.md
describes the messages, whose version is `PROTOCOL_VERSION` and not the package's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from enum import Enum, IntEnum
from typing import Any, TypeVar

from .addresses import VirtualAddress

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

    @property
    def label(self) -> str:
        """The class in words: ``kernel text``."""
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom pages belong to: the kernel (pid 0) or a process."""

    owner_id: int
    pid: int
    name: str


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
    """A kernel symbol; `symbol_type` is the letter of ``/proc/kallsyms``, `offset` how far past it an address lies."""

    name: str
    address: VirtualAddress
    symbol_type: str
    offset: int = 0


def to_json(record: Any) -> dict[str, Any]:  # noqa: ANN401  # any of the records above
    """The JSON object of a record."""
    return asdict(record)


def from_json(kind: type[Record], row: dict[str, Any]) -> Record:
    """The record of class `kind` in a JSON object; keys it does not know are passed over."""
    known = {field.name: row[field.name] for field in fields(kind) if field.name in row}  # type: ignore[arg-type]
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in known.items()})
