"""Virtual memory areas of every process: what ``/proc/PID/maps`` shows for each (``fs/proc/task_mmu.c``, show_map_vma).

Each area is a ``vm_area_struct``, which knows its ``mm_struct``; an ``mm_struct`` keeps its own in a maple tree, and up to
release 6.0 in a chain. The two are checked against each other, and read again while they disagree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...errors import GlassBoxError, GuestError, UsageError
from ...kernel.budget import Budget, reason_of
from ...kernel.maple import MAX_ENTRIES, maple_entries
from ...kernel.objects import Object
from ...memory.addresses import PAGE_SIZE, VirtualAddress
from ...wire.records import MemoryMapping
from .open_files import format_device
from .overlay import BuiltOverlay, OverlayContext
from .paths import PathNames
from .processes import find_task, tasks, user_memory

ATTEMPTS = 3
MAX_NAME = 255
_U64 = (1 << 64) - 1
_VM_READ, _VM_WRITE, _VM_EXEC, _VM_MAYSHARE = 1, 2, 4, 0x80
_VSYSCALL_NONE = 2
_MM_CONTEXT_HAS_VSYSCALL = 1 << 1


@dataclass(frozen=True, slots=True)
class Area:
    """One virtual memory area of process `pid`, from `start` up to but not including `end`."""

    pid: int
    start: int
    end: int
    permissions: str
    file_offset: int
    device: str
    inode: int
    path: str


def read_areas(context: OverlayContext, budget: Budget) -> Iterator[Area]:
    """Yield the areas of every process that has memory of its own, ascending within each."""
    reader = AreaReader(context, budget)
    for task in tasks(context.objects):
        budget.spend()
        try:
            if (mm := user_memory(task)) is None:
                continue
            pid, mappings = task["tgid"], reader.mappings(mm)
        except GlassBoxError as error:
            budget.skip_unread("the areas of a process", error)
            continue
        for area in mappings:
            place = (area.file_offset, area.device, area.inode, area.path)
            yield Area(pid, area.start, area.end, area.permissions, *place)


def read_mappings(context: OverlayContext, pid: int, budget: Budget) -> list[MemoryMapping]:
    """What `AreaReader.of_process` says of one process."""
    return AreaReader(context, budget).of_process(pid)


class AreaReader:
    """Reads areas of many processes, and remembers the paths it has met."""

    def __init__(self, context: OverlayContext, budget: Budget) -> None:
        self._space, self._budget = context.objects, budget
        self._paths = PathNames(context.objects)
        self._has_trees, self._strict_heap = context.has("maple_tree"), context.has("heap_bounds_exclusive")
        self._has_names = self._space.has("vm_area_struct", "anon_name")
        self._names_files = context.has("shared_memory_names")
        self._special = self._space.address_of("special_mapping_vmops")

    def of_process(self, pid: int) -> list[MemoryMapping]:
        """The lines of ``/proc/PID/maps``, none for a kernel thread; names are as process 1 sees them.

        `UsageError` when no process has that `pid`, `GuestError` when it may be one of those that cannot be read.
        """
        task = find_task(self._space, pid)
        if task is None and self._budget.skipped:
            reason = self._budget.skipped[0]
            raise GuestError(f"process {pid} is not among those that could be read ({reason}); pause and ask again")
        if task is None:
            raise UsageError(f"the guest has no process {pid}; list them with 'glassbox ps'")
        mm = user_memory(task)
        return [] if mm is None else self.mappings(mm)

    def mappings(self, mm: Object) -> list[MemoryMapping]:
        """The areas of an address space, ascending; what cannot be read is left out with a note."""
        found = []
        for area in self._areas(mm):
            try:
                found.append(self._mapping(area, mm))
            except GlassBoxError as error:
                self._budget.skip_unread("a memory area", error)
        return found + self._vsyscall(mm)

    def _areas(self, mm: Object) -> list[Object]:
        sound: list[Object] = []
        lost: int | str = 0
        for attempt in range(ATTEMPTS):
            if attempt:
                self._space.forget()
            try:
                areas = [self._space.at("vm_area_struct", address) for address in self._addresses(mm)]
            except GlassBoxError as error:
                lost = reason_of(error)
                continue
            sound = [area for area in areas if self._is_of(area, mm)]
            lost = len(areas) - len(sound)
            if not lost:
                return sound
        self._budget.skip(f"memory areas changed while they were read ({lost})")
        return sound

    def _addresses(self, mm: Object) -> list[int]:
        if self._has_trees:
            return list(maple_entries(self._space, mm["mm_mt.ma_root"]))
        found: list[int] = []
        area = mm["mmap"]
        while area and len(found) < MAX_ENTRIES:
            self._budget.spend()
            found.append(area)
            area = self._space.at("vm_area_struct", area)["vm_next"]
        return found

    @staticmethod
    def _is_of(area: Object, mm: Object) -> bool:
        try:
            return area["vm_mm"] == mm.address and area["vm_start"] < area["vm_end"]
        except GlassBoxError:
            return False

    def _mapping(self, area: Object, mm: Object) -> MemoryMapping:
        start, end, file = area["vm_start"], area["vm_end"], area.follow("vm_file")
        device, number, offset = 0, 0, 0
        if file is not None:
            path, inode = self._paths.user_path_and_inode(file)
            super_block = inode.follow("i_sb")
            device, number = super_block["s_dev"] if super_block else 0, inode["i_ino"]
            offset = area["vm_pgoff"] * PAGE_SIZE & _U64
            name = self._given_name(area, "anon_shmem") or self._paths.name(path["mnt"], path["dentry"])
        else:
            name = self._name(area, mm, start, end)
        permissions = _permissions(area["vm_flags"])
        # A name must not end its line (seq_path).
        path_text = name.replace("\n", "\\012")
        place = (offset, format_device(device), number, path_text)
        return MemoryMapping(VirtualAddress(start), VirtualAddress(end), permissions, *place)

    def _name(self, area: Object, mm: Object, start: int, end: int) -> str:
        """What an area without a file is called."""
        if self._special and area["vm_ops"] == self._special:
            mapping = self._space.at("vm_special_mapping", area["vm_private_data"])
            return mapping.text_at("name", MAX_NAME)
        brk, start_brk, stack = mm["brk"], mm["start_brk"], mm["start_stack"]
        if (start < brk and end > start_brk) if self._strict_heap else (start <= brk and end >= start_brk):
            return "[heap]"
        if start <= stack <= end:
            return "[stack]"
        return self._given_name(area, "anon")

    def _given_name(self, area: Object, kind: str) -> str:
        """The name that a process gave an area with prctl, if the kernel keeps such (``CONFIG_ANON_VMA_NAME``)."""
        if not self._has_names or (area["vm_file"] and not self._names_files):
            return ""
        record = area.follow("anon_name")
        return "" if record is None else f"[{kind}:{self._space.text(record.at('name'), MAX_NAME)}]"

    def _vsyscall(self, mm: Object) -> list[MemoryMapping]:
        """The page that every old process shares, where the kernel shows it (``arch/x86/entry/vsyscall``)."""
        gate, mode = self._space.address_of("gate_vma"), self._space.address_of("vsyscall_mode")
        try:
            if not gate or not mode or self._space.unsigned(mode, 4) == _VSYSCALL_NONE:
                return []
            if "context.flags" not in mm or not mm["context.flags"] & _MM_CONTEXT_HAS_VSYSCALL:
                return []
            area = self._space.at("vm_area_struct", gate)
            start, end = VirtualAddress(area["vm_start"]), VirtualAddress(area["vm_end"])
            return [MemoryMapping(start, end, _permissions(area["vm_flags"]), 0, "00:00", 0, "[vsyscall]")]
        except GlassBoxError:
            return []


def _permissions(flags: int) -> str:
    letters = ((_VM_READ, "r"), (_VM_WRITE, "w"), (_VM_EXEC, "x"))
    return "".join(letter if flags & bit else "-" for bit, letter in letters) + ("s" if flags & _VM_MAYSHARE else "p")


AREAS = BuiltOverlay(
    "areas",
    "Every virtual memory area of every process.",
    ("pid", "start:#x", "end:#x", "permissions", "file_offset:#x", "device", "inode", "path"),
    read_areas,
    is_never_empty=True,
)
