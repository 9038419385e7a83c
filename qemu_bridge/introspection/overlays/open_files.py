"""Files that processes have open, as ``/proc/PID/fd`` and ``fdinfo`` show them (``fs/proc/fd.c``)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...errors import GlassBoxError
from ...kernel.budget import Budget
from ...kernel.objects import Object
from .overlay import BuiltOverlay, OverlayContext, each
from .paths import PathNames
from .processes import tasks

MAX_DESCRIPTORS = 1 << 20
_O_CLOEXEC = 0o2000000
_ACCESS = ("r", "w", "rw", "path")


@dataclass(frozen=True, slots=True)
class OpenFile:
    """One file descriptor: `flags` and `position` as fdinfo shows them."""

    pid: int
    descriptor: int
    access: str
    flags: int
    position: int
    device: str
    inode: int
    path: str


def read_open_files(context: OverlayContext, budget: Budget) -> Iterator[OpenFile]:
    """Yield every open descriptor of every process."""
    paths = PathNames(context.objects)
    for task in tasks(context.objects):
        found = each(descriptors(task, budget), lambda one: _open_file(paths, *one), budget, "file")
        yield from found


def descriptors(task: Object, budget: Budget) -> Iterator[tuple[int, int, bool, Object]]:
    """Yield (pid, descriptor, whether exec closes it, ``struct file``) of all that the task has open."""
    try:
        files = task.follow("files")
        table = None if files is None else files.follow("fdt")
        if table is None:
            return
        pid, space = task["tgid"], task.space
        count = min(table["max_fds"], MAX_DESCRIPTORS)
        is_open, closing = (_bits(table, name, count) for name in ("open_fds", "close_on_exec"))
        # Descriptors are dense, so the array is read up to the highest open one.
        pointers = space.words(table["fd"], is_open.bit_length())
    except GlassBoxError as error:
        budget.skip_unread("the files of a process", error)
        return
    for number, pointer in enumerate(pointers):
        if is_open >> number & 1 and pointer:
            yield pid, number, bool(closing >> number & 1), space.at("file", pointer)


def _bits(table: Object, member: str, count: int) -> int:
    return int.from_bytes(table.space.read(table[member], -(-count // 64) * 8), "little") & ((1 << count) - 1)


def _open_file(paths: PathNames, pid: int, number: int, closing: bool, file: Object) -> OpenFile:
    inode = file.follow("f_inode")
    device = super_block["s_dev"] if inode and (super_block := inode.follow("i_sb")) else 0
    flags = file["f_flags"] & ~_O_CLOEXEC | (_O_CLOEXEC if closing else 0)
    return OpenFile(
        pid=pid,
        descriptor=number,
        access=_ACCESS[flags & 3] if not flags & 0o10000000 else "path",
        flags=flags,
        position=file["f_pos"],
        device=format_device(device),
        inode=inode["i_ino"] if inode else 0,
        path=paths.of_file(file),
    )


def format_device(device: int) -> str:
    """Major and minor number as ``/proc/PID/maps`` prints them (``include/linux/kdev_t.h``)."""
    return f"{device >> 20:02x}:{device & 0xFFFFF:02x}"


OPEN_FILES = BuiltOverlay(
    "open-files",
    "The files that processes have open.",
    ("pid", "descriptor", "access", "flags:#o", "position", "device", "inode", "path"),
    read_open_files,
    is_never_empty=True,
)
