"""The questions Glass Box asks of a guest's kernel, answered from its structures in RAM.

The functions that make records follow the kernel's own that print ``/proc``: ``fs/proc/array.c``, ``fs/proc/task_mmu.c``,
``kernel/module/procfs.c`` (releases 6.0 to 6.12); their output and the records agree to the letter.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from ..addresses import PAGE_SIZE, PhysicalAddress, VirtualAddress
from ..errors import GuestError, UsageError
from ..paging import PageTables
from ..protocol import MemoryMapping, Module, Process
from ..ram import GuestRam
from ..symbols import KernelSymbols
from .layers import OutOfTimeError
from .paths import PathNames
from .structures import ATTEMPTS, BAD_MEMORY, MAX_NAME, KernelMemory, Struct

logger = logging.getLogger(__name__)

QUERY_TIME_S = 10.0
MAX_PROCESSES = 1 << 16
MAX_MAPPINGS = 1 << 17
MAX_MODULES = 1 << 12
MAX_NOTES = 16
_MAX_COMMAND_LINE = 4096
_U64 = (1 << 64) - 1

_PF_WQ_WORKER = 0x00000020
_PF_KTHREAD = 0x00200000
_VM_READ, _VM_WRITE, _VM_EXEC, _VM_MAYSHARE = 1, 2, 4, 0x80
_TASK_IDLE, _TASK_REPORT, _TASK_RTLOCK_WAIT, _TASK_FROZEN = 0x402, 0x7F, 0x1000, 0x8000
# fs/proc/array.c: task_state_array, by the highest bit set.
_STATE_LETTERS = "RSDTtXZPI"
_MODULE_STATES = ("Live", "Loading", "Unloading")
_MODULE_UNFORMED = 3
_VSYSCALL_NONE = 2
_MM_CONTEXT_HAS_VSYSCALL = 1 << 1
_RESCUER = "kworker/R-"

Record = TypeVar("Record")


class VolatilityAdapter:
    """Answers what runs in a guest. Not for several threads at a time.

    A query answers from one epoch: pages are read once, when first needed, until `refresh` starts the next. What
    cannot be read is left out, never an exception; `skipped` says what and why.
    """

    def __init__(self, ram: GuestRam, kernel: KernelSymbols, query_time_s: float = QUERY_TIME_S) -> None:
        """Load Volatility for `kernel`; `NoTypesError` when that carries no types. A query ends after `query_time_s`."""
        self._symbols = kernel
        self._query_time_s = query_time_s
        self._notes: list[str] = []
        self._memory = KernelMemory(ram, kernel, self._skip)
        self._layer = self._memory.layer
        self._paths = PathNames(self._memory)

    @property
    def skipped(self) -> tuple[str, ...]:
        """What the last query left out, a sentence each, of many the first few; empty means its answer is complete."""
        return tuple(self._notes)

    def refresh(self) -> None:
        """Start a new epoch: what was read so far is forgotten."""
        self._layer.forget()
        self._paths.forget()

    def processes(self) -> list[Process]:
        """Every thread group in the guest, kernel threads among them, in the order of their creation."""
        records: list[Process] = []
        with self._query():
            records = self._collect(self._tasks(), self._process, "task")
        return records

    def mappings(self, pid: int) -> list[MemoryMapping]:
        """The lines of ``/proc/PID/maps``, none for a kernel thread; `UsageError` when no process has that `pid`.

        File names are as seen from the root directory of process 1.
        """
        records: list[MemoryMapping] = []
        with self._query():
            task = self._find_task(pid)
            if task is None and self.skipped:
                raise GuestError(
                    f"process {pid} is not among those that could be read ({self.skipped[0]}); pause the machine and ask again"
                )
            if task is None:
                raise UsageError(f"the guest has no process {pid}; list them with `glassbox ps`")
            if task.mm and not task.flags & _PF_KTHREAD:
                mm, root = task.mm.dereference(), self._root_path()
                records = self._collect(self._areas(mm), lambda area: self._mapping(area, mm, root), "memory area")
                records += self._vsyscall_mapping(mm)
        return records

    def modules(self) -> list[Module]:
        """The loaded modules as ``/proc/modules`` lists them, newest first."""
        records: list[Module] = []
        with self._query():
            head = self._symbols.kallsyms.address_of("modules")
            if head is not None:
                entries = self._memory.linked(head, "module", "list", MAX_MODULES)
                formed = (module for module in entries if module.state != _MODULE_UNFORMED)
                records = self._collect(formed, self._module, "module")
        return records

    def address_space(self, process: Process) -> PageTables | None:
        """The page tables of `process`, None for a kernel thread."""
        return None if process.page_table is None else self._memory.page_tables(PhysicalAddress(process.page_table))

    @contextlib.contextmanager
    def _query(self) -> Iterator[None]:
        """Give the body its time, and turn what memory makes of it into a note."""
        self._notes.clear()
        if self._symbols.caveat:
            self._skip(self._symbols.caveat)
        self._layer.deadline = time.monotonic() + self._query_time_s
        try:
            yield
        except UsageError:
            raise
        except (OutOfTimeError, *BAD_MEMORY) as error:
            self._skip(f"nothing could be read: {_reason(error)}")
        finally:
            self._layer.deadline = float("inf")

    def _skip(self, sentence: str) -> None:
        logger.debug("%s", sentence)
        if len(self._notes) < MAX_NOTES:
            self._notes.append(sentence)

    def _collect(self, items: Iterable[Struct], make: Callable[[Struct], Record], what: str) -> list[Record]:
        """`make` of every item, leaving out those that cannot be read; what there is when time runs out."""
        records: list[Record] = []
        try:
            for item in items:
                try:
                    records.append(make(item))
                except BAD_MEMORY as error:
                    self._skip(f"a {what} at {item.vol.offset:#x} cannot be read: {_reason(error)}")
        except OutOfTimeError:
            self._skip(f"time ran out after {len(records)} of the {what}s")
        return records

    def _tasks(self) -> Iterator[Struct]:
        head = self._symbols.address_of("init_task") + self._memory.offset_of("task_struct", "tasks")
        return self._memory.linked(head, "task_struct", "tasks", MAX_PROCESSES)

    def _find_task(self, pid: int) -> Struct | None:
        for task in self._tasks():
            with contextlib.suppress(*BAD_MEMORY):
                if task.tgid == pid:
                    return task
        return None

    def _areas(self, mm: Struct) -> list[Struct]:
        """The ``vm_area_struct`` of `mm`, ascending; read again while they contradict each other."""
        for attempt in range(ATTEMPTS):
            areas = [self._memory.object("vm_area_struct", address) for address in self._area_addresses(mm)]
            sound = [area for area in areas if self._is_area_of(area, mm)]
            if len(sound) == len(areas):
                return areas
            if attempt + 1 < ATTEMPTS:
                self._layer.forget()
        self._skip(f"{len(areas) - len(sound)} memory areas changed while they were read")
        return sound

    def _is_area_of(self, area: Struct, mm: Struct) -> bool:
        try:
            return bool(area.vm_mm == mm.vol.offset & self._layer.address_mask and area.vm_start < area.vm_end)
        except BAD_MEMORY:
            return False

    def _area_addresses(self, mm: Struct) -> list[int]:
        if self._has("maple_tree"):
            return list(self._memory.maple_entries(int(mm.mm_mt.ma_root)))
        found: list[int] = []
        area = mm.mmap
        while area and len(found) < MAX_MAPPINGS:
            found.append(int(area))
            area = area.vm_next
        return found

    def _root_path(self) -> tuple[int, int]:
        """Mount and dentry of the root directory of process 1."""
        task = self._find_task(1)
        if task is None or not task.fs:
            return 0, 0
        return int(task.fs.root.mnt), int(task.fs.root.dentry)

    # Processes

    def _process(self, task: Struct) -> Process:
        mm = None if not task.mm or task.flags & _PF_KTHREAD else task.mm.dereference()
        root = None if mm is None else self._memory.physical(mm.pgd)
        return Process(
            pid=int(task.tgid),
            parent_pid=int(task.real_parent.tgid) if task.real_parent else 0,
            uid=int(task.real_cred.uid),
            state=_state_letter(int(task.state), int(task.exit_state)),
            name=self._task_name(task),
            command_line="" if mm is None or root is None else self._command_line(mm, root),
            page_table=root,
            thread_count=int(task.signal.nr_threads),
            resident_pages=0 if mm is None else _resident_pages(mm, self._has("rss_per_cpu")),
        )

    def _task_name(self, task: Struct) -> str:
        """The name as ``/proc/PID/stat`` has it: of a kernel thread the whole one, of a kworker with what it works on."""
        name = self._memory.string(task.comm.vol.offset, task.comm.count)
        if not task.flags & _PF_KTHREAD or not task.worker_private:
            return name
        with contextlib.suppress(*BAD_MEMORY):
            kthread = self._memory.object("kthread", int(task.worker_private))
            if task.flags & _PF_WQ_WORKER:
                return self._worker_name(name, self._memory.object("worker", int(kthread.data)))
            if kthread.has_member("full_name") and kthread.full_name:
                return self._memory.string(int(kthread.full_name), MAX_NAME)
        return name

    def _worker_name(self, name: str, worker: Struct) -> str:
        """The name of a workqueue's thread (``kernel/workqueue.c``, wq_worker_comm)."""
        if name.startswith(_RESCUER):
            queue = worker.rescue_wq.name
            name = _RESCUER + self._memory.string(queue.vol.offset, queue.count)
        described = self._memory.string(worker.desc.vol.offset, worker.desc.count)
        if not described or not worker.pool:
            return name
        return f"{name}{'+' if worker.current_work else '-'}{described}"

    def _command_line(self, mm: Struct, root: PhysicalAddress) -> str:
        """Its words with blanks between; as much as is in RAM."""
        start = int(mm.arg_start)
        length = min(int(mm.arg_end) - start, _MAX_COMMAND_LINE)
        data = self._memory.page_tables(root).read_some(VirtualAddress(start), length)
        return data.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")

    # Memory maps

    def _mapping(self, area: Struct, mm: Struct, root: tuple[int, int]) -> MemoryMapping:
        start, end, file = int(area.vm_start), int(area.vm_end), area.vm_file
        device, inode_number, offset = 0, 0, 0
        if file:
            path, inode = self._paths.user_path_and_inode(file)
            device, inode_number = int(inode.i_sb.s_dev), int(inode.i_ino)
            offset = int(area.vm_pgoff) * PAGE_SIZE & _U64
            name = self._anonymous_name(area, "anon_shmem") or self._paths.name(path, root)
        else:
            name = self._area_name(area, mm, start, end)
        return MemoryMapping(
            start=VirtualAddress(start),
            end=VirtualAddress(end),
            permissions=_permissions(int(area.vm_flags)),
            file_offset=offset,
            device=f"{device >> 20:02x}:{device & 0xFFFFF:02x}",
            inode=inode_number,
            path=name,
        )

    def _area_name(self, area: Struct, mm: Struct, start: int, end: int) -> str:
        """What ``maps`` calls an area without a file (``fs/proc/task_mmu.c``, show_map_vma)."""
        special = self._symbols.kallsyms.address_of("special_mapping_vmops")
        if special is not None and area.vm_ops == special & self._layer.address_mask:
            mapping = self._memory.object("vm_special_mapping", int(area.vm_private_data))
            return self._memory.string(int(mapping.name), MAX_NAME)
        brk, start_brk, stack = int(mm.brk), int(mm.start_brk), int(mm.start_stack)
        strict = self._has("heap_bounds_exclusive")
        if (start < brk and end > start_brk) if strict else (start <= brk and end >= start_brk):
            return "[heap]"
        if start <= stack <= end:
            return "[stack]"
        return self._anonymous_name(area, "anon")

    def _anonymous_name(self, area: Struct, kind: str) -> str:
        """The name that a process gave an area with prctl, if the kernel keeps such (``CONFIG_ANON_VMA_NAME``)."""
        if not area.has_member("anon_name") or (area.vm_file and not self._has("shared_memory_names")):
            return ""
        if not area.anon_name:
            return ""
        record = area.anon_name.dereference()
        return f"[{kind}:{self._memory.string(record.vol.offset + self._memory.offset_of('anon_vma_name', 'name'), MAX_NAME)}]"

    def _vsyscall_mapping(self, mm: Struct) -> list[MemoryMapping]:
        """The page that every old process shares, where the kernel shows it (``arch/x86/entry/vsyscall``)."""
        where = {name: self._symbols.kallsyms.address_of(name) for name in ("gate_vma", "vsyscall_mode")}
        gate, mode = where["gate_vma"], where["vsyscall_mode"]
        if gate is None or mode is None or self._layer.read(mode, 1)[0] == _VSYSCALL_NONE:
            return []
        if not mm.context.has_member("flags") or not mm.context.flags & _MM_CONTEXT_HAS_VSYSCALL:
            return []
        area = self._memory.object("vm_area_struct", gate)
        start, end = VirtualAddress(int(area.vm_start)), VirtualAddress(int(area.vm_end))
        return [MemoryMapping(start, end, _permissions(int(area.vm_flags)), 0, "00:00", 0, "[vsyscall]")]

    # Modules

    def _module(self, module: Struct) -> Module:
        base, size = _module_extent(module, self._has("module_memory"))
        users = self._memory.linked(int(module.source_list.vol.offset), "module_use", "source_list", MAX_MODULES)
        used_by = [self._module_name(use.source.dereference()) for use in users]
        if module.init and not module.exit:
            used_by.append("[permanent]")
        state = int(module.state)
        return Module(
            name=self._module_name(module),
            base=self._layer.canonical(base),
            size=size,
            state=_MODULE_STATES[state] if state < len(_MODULE_STATES) else "Unknown",
            used_by=tuple(used_by),
        )

    def _module_name(self, module: Struct) -> str:
        return self._memory.string(module.name.vol.offset, module.name.count)

    def _has(self, feature: str) -> bool:
        return self._symbols.has(feature)


def _reason(error: BaseException) -> str:
    return "time ran out" if isinstance(error, OutOfTimeError) else f"{type(error).__name__}: {error}"


def _state_letter(state: int, exit_state: int) -> str:
    """The letter of ``/proc/PID/status`` (``include/linux/sched.h``, __task_state_index)."""
    shown = (state | exit_state) & _TASK_REPORT
    if state & _TASK_IDLE == _TASK_IDLE:
        shown = _TASK_REPORT + 1
    elif state & (_TASK_RTLOCK_WAIT | _TASK_FROZEN):
        shown = 2
    return _STATE_LETTERS[shown.bit_length()]


def _resident_pages(mm: Struct, per_cpu: bool) -> int:
    """File, anonymous and shared-memory pages, as ``/proc/PID/statm`` counts them; swap entries are not."""
    counters = mm.rss_stat if per_cpu else mm.rss_stat.count
    kept = [counters[number] for number in (0, 1, 3) if number < counters.count]
    return sum(max(int(counter.count if per_cpu else counter.counter), 0) for counter in kept)


def _permissions(flags: int) -> str:
    letters = ((_VM_READ, "r"), (_VM_WRITE, "w"), (_VM_EXEC, "x"))
    return "".join(letter if flags & bit else "-" for bit, letter in letters) + ("s" if flags & _VM_MAYSHARE else "p")


def _module_extent(module: Struct, in_parts: bool) -> tuple[int, int]:
    """Base address and size in bytes, init part and all."""
    if in_parts:
        parts = list(module.mem)
        return int(parts[0].base), sum(int(part.size) for part in parts)
    return int(module.core_layout.base), int(module.core_layout.size) + int(module.init_layout.size)
