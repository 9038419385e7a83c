"""Tasks, their address spaces and memory areas, read as columns.

The page map needs little of each, but of all of them and often; for the whole of a process see `overlays.processes`. The
list of tasks and that of threads are walked link by link, maple trees (``lib/maple_tree.c``, mt_dump_node) a level of all
trees at a time. Every walk is bounded, and inconsistent entries are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...kernel.columns import KernelColumns, Pages, U64Array
from ...kernel.symbols.releases import has
from ...memory.addresses import PAGE_SHIFT, RamOffset
from ...wire.records import PageClass
from .owners import PID_LIMIT

MAX_TASKS = 1 << 16
MAX_AREAS = 1 << 17
_MAX_NODES = 1 << 16
_MAX_TREE_HEIGHT = 31
_PF_KTHREAD = 0x00200000
_VM_EXEC = 4
_STACK_SIZES = (16 << 10, 32 << 10, 8 << 10, 64 << 10)
_U64 = (1 << 64) - 1
# The number of an address space and a virtual page number fit into one word.
MAX_SPACES = 1 << 16
SPACE_SHIFT = np.uint64(45)


@dataclass(frozen=True, slots=True)
class Task:
    """A thread: `pid` is the process, `tid` the thread; addresses of its mm (0 for a kernel thread) and stack."""

    pid: int
    tid: int
    name: str
    mm: int
    stack: int


@dataclass(frozen=True, slots=True)
class Space:
    """An address space: the process that the list of tasks names first, all that share it, and its root's frame."""

    pid: int
    name: str
    pids: tuple[int, ...]
    mm: int
    root: int


@dataclass(frozen=True, slots=True)
class Areas:
    """Memory areas of all spaces, ascending by space and address: `start` and `end` are page numbers | space << 45.

    `page_class` is the class of an anonymous page in it; PROCESS_TEXT and PROCESS_FILE for areas of files.
    """

    start: U64Array
    end: U64Array
    page_class: npt.NDArray[np.uint8]
    complete: bool

    def find(self, space: Pages, virtual: U64Array) -> npt.NDArray[np.uint8]:
        """The class of the area that holds each address; PROCESS_ANONYMOUS where there is none."""
        found = np.full(len(space), PageClass.PROCESS_ANONYMOUS, np.uint8)
        if len(self.start):
            place = space.astype(np.uint64) << SPACE_SHIFT | virtual >> np.uint64(PAGE_SHIFT)
            row = np.searchsorted(self.start, place, side="right") - 1
            inside = (row >= 0) & (place < self.end[np.maximum(row, 0)])
            found[inside] = self.page_class[row[inside]]
        return found


class TaskReader:
    """Reads tasks and memory areas of one kernel."""

    def __init__(self, read: KernelColumns) -> None:
        self._read = read
        btf = read.kernel.btf
        at = {name: btf.member_offset("task_struct", name) for name in ("tasks", "comm", "thread_node")}
        self._links, self._thread_node = at["tasks"], at["thread_node"]
        sizes = {"signal": 8, "tgid": 4, "pid": 4, "flags": 4, "mm": 8, "stack": 8}
        self._task = [(at["tasks"], 8), (at["tasks"] + 8, 8), (at["comm"], 8), (at["comm"] + 8, 8)]
        self._task += [(btf.member_offset("task_struct", name), size) for name, size in sizes.items()]
        self._leaders = self._threads = np.zeros(0, np.uint64)
        self._columns = np.zeros((len(self._task), 0), np.uint64)
        self._tasks: list[Task] = []
        self._spaces: list[Space] = []
        self._space_key: tuple[list[Task], bytes] = ([], b"")
        self._thread_head = btf.member_offset("signal_struct", "thread_head")
        self._nr_threads = btf.member_offset("signal_struct", "nr_threads")
        self._mm = {name: btf.member_offset("mm_struct", name) for name in ("pgd", "brk", "start_brk", "start_stack")}
        self._area = {
            name: btf.member_offset("vm_area_struct", name)
            for name in ("vm_start", "vm_end", "vm_mm", "vm_flags", "vm_file")
        }
        tree = btf.find_member("mm_struct", "mm_mt.ma_root")
        self._tree = None if tree is None else tree.offset
        self._nodes = {} if tree is None else {kind: self._node_layout(name) for kind, name in _MAPLE_KINDS.items()}
        self._strict_heap = has("heap_bounds_exclusive", read.kernel.release)
        self.stack_size = self._find_stack_size()
        self._init_task = read.kernel.address_of("init_task")

    def _find_stack_size(self) -> int:
        """THREAD_SIZE: what the linker gave the first task (``include/asm-generic/vmlinux.lds.h``, INIT_TASK_DATA)."""
        names = self._read.kernel.kallsyms
        start, end = names.address_of("init_stack"), names.address_of("__end_init_task")
        size = 0 if start is None or end is None else end - start
        return size if size in _STACK_SIZES else _STACK_SIZES[0]

    def left_out(self, tasks: list[Task]) -> int:
        """How many threads are not among `tasks` because of impossible numbers."""
        return len(self._threads) - len(tasks)

    def tasks(self) -> list[Task]:
        """Every thread, idle ones of the first processor included; the same list as before if nothing has changed."""
        read, links = self._read, np.uint64(self._links)
        columns = read.fields(self._leaders, *self._task)
        following, before = columns[:2]
        if not len(before) or not (
            np.array_equal(np.roll(self._leaders, -1) + links, following)
            and np.array_equal(np.roll(self._leaders, 1) + links, before)
        ):
            found = [link - self._links & _U64 for link in read.links(self._init_task + self._links, MAX_TASKS)]
            self._leaders = np.array([self._init_task, *found], np.uint64)
            columns = read.fields(self._leaders, *self._task)
        threads = self._find_threads(columns[4])
        if threads is not self._leaders:
            columns = read.fields(threads, *self._task)
        if not np.array_equal(threads, self._threads) or not np.array_equal(columns[2:], self._columns[2:]):
            self._threads, self._columns = threads, columns
            self._tasks = _tasks_of(columns[2:])
        return self._tasks

    def _find_threads(self, signals: U64Array) -> U64Array:
        """The leaders of processes, with `signals` each, each followed by its other threads."""
        counts = self._read.u32(signals + np.uint64(self._nr_threads))
        counts[:1] = 1
        if not (counts > 1).any():
            return self._leaders
        threads: list[int] = []
        for leader, signal, count in zip(self._leaders.tolist(), signals.tolist(), counts.tolist(), strict=True):
            threads.append(leader)
            if count > 1:
                links = self._read.links(signal + self._thread_head & _U64, MAX_TASKS)
                others = (link - self._thread_node & _U64 for link in links)
                threads += [thread for thread in others if thread != leader]
            if len(threads) >= MAX_TASKS:
                break
        return np.array(threads[:MAX_TASKS], np.uint64)

    def spaces(self, tasks: list[Task]) -> list[Space]:
        """The distinct address spaces of `tasks`, in their order; those without a table in RAM are left out.

        The same list as before for the same list of tasks, while their tables stay where they are.
        """
        if tasks is not self._space_key[0]:
            self._users: dict[int, dict[int, str]] = {}
            for task in tasks:
                if task.mm:
                    self._users.setdefault(task.mm, {}).setdefault(task.pid, task.name)
        mms = np.array(list(self._users)[:MAX_SPACES], np.uint64)
        pgds = self._read.u64(mms + np.uint64(self._mm["pgd"]))
        if tasks is self._space_key[0] and pgds.tobytes() == self._space_key[1]:
            return self._spaces
        self._space_key = tasks, pgds.tobytes()
        roots = [
            self._read.ram.layout.to_physical(RamOffset(offset)) >> PAGE_SHIFT if offset >= 0 else -1
            for offset in self._read.offsets(pgds).tolist()
        ]
        users = self._users
        self._spaces = [
            Space(next(iter(users[mm])), next(iter(users[mm].values())), tuple(users[mm]), mm, root)
            for mm, root in zip(mms.tolist(), roots, strict=True)
            if root >= 0
        ]
        return self._spaces

    def areas(self, mms: list[int]) -> Areas:
        """The memory areas of `mms`; the number of an mm in the list is its space."""
        address = np.array(mms, np.uint64)
        if self._tree is not None:
            space, area, complete = self._maple_entries(self._read.u64(address + np.uint64(self._tree)))
        else:
            space, area, complete = self._chained_areas(mms)
        columns = self._read.fields(area, *((at, 8) for at in self._area.values()))
        field = dict(zip(self._area, columns, strict=True))
        sound = (field["vm_mm"] == address[space]) & (field["vm_start"] < field["vm_end"]) & (field["vm_end"] < 1 << 57)
        space, field = space[sound], {name: column[sound] for name, column in field.items()}
        place = space.astype(np.uint64) << SPACE_SHIFT
        start = place | field["vm_start"] >> np.uint64(PAGE_SHIFT)
        order = np.argsort(start, kind="stable")
        end = place | field["vm_end"] >> np.uint64(PAGE_SHIFT)
        return Areas(start[order], end[order], self._area_class(address, space, field)[order], complete)

    def _area_class(self, mms: U64Array, space: Pages, field: dict[str, U64Array]) -> npt.NDArray[np.uint8]:
        """What ``/proc/PID/maps`` would call them (``fs/proc/task_mmu.c``, show_map_vma)."""
        wanted = ((self._mm[name], 8) for name in ("brk", "start_brk", "start_stack"))
        brk, start_brk, stack = self._read.fields(mms, *wanted)[:, space]
        start, end = field["vm_start"], field["vm_end"]
        heap = (start < brk) & (end > start_brk) if self._strict_heap else (start <= brk) & (end >= start_brk)
        anonymous = np.where(
            heap,
            PageClass.PROCESS_HEAP,
            np.where((start <= stack) & (stack <= end), PageClass.PROCESS_STACK, PageClass.PROCESS_ANONYMOUS),
        )
        executable = (field["vm_flags"] & np.uint64(_VM_EXEC)) != 0
        file = np.where(executable, PageClass.PROCESS_TEXT, PageClass.PROCESS_FILE)
        return np.where(field["vm_file"] != 0, file, anonymous).astype(np.uint8)

    def _node_layout(self, name: str) -> tuple[int, int, int, int]:
        """Offset and count of pivots, offset and count of slots of a maple node."""
        btf = self._read.kernel.btf
        found = []
        for part in ("pivot", "slot"):
            member = btf.find_member(name, part)
            assert member is not None
            found += [member.offset, min(btf.count(btf.resolve(member.type_id)), 64)]
        return found[0], found[1], found[2], found[3]

    def _maple_entries(self, roots: U64Array) -> tuple[Pages, U64Array, bool]:
        """What maple trees hold: (tree, entry) columns, and whether that is all."""
        tree = np.arange(len(roots))
        node, low, high = roots, np.zeros(len(roots), np.uint64), np.full(len(roots), _U64, np.uint64)
        is_node = (node & np.uint64(3)) == 2
        tree, node, low, high = tree[is_node], node[is_node], low[is_node], high[is_node]
        trees, entries = [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)]
        visited = found = 0
        for _ in range(_MAX_TREE_HEIGHT):
            if not len(node):
                return np.concatenate(trees), np.concatenate(entries), True
            visited += len(node)
            if visited > _MAX_NODES or found > MAX_AREAS:
                break
            below: list[list[npt.NDArray[np.generic]]] = [[], [], [], []]
            for kind in _MAPLE_KINDS:
                rows = np.flatnonzero((node >> np.uint64(3) & np.uint64(15)) == kind)
                if not len(rows):
                    continue
                row, slot, first, last = self._maple_slots(kind, node[rows], low[rows], high[rows])
                if kind == _MAPLE_LEAF:
                    trees.append(tree[rows][row])
                    entries.append(slot)
                    found += len(slot)
                else:
                    for column, values in zip(below, (tree[rows][row], slot, first, last), strict=True):
                        column.append(values)
            if not below[0]:
                return np.concatenate(trees), np.concatenate(entries), True
            tree, node, low, high = (np.concatenate(column) for column in below)
        return np.concatenate(trees), np.concatenate(entries), False

    def _maple_slots(
        self, kind: int, node: U64Array, low: U64Array, high: U64Array
    ) -> tuple[Pages, U64Array, U64Array, U64Array]:
        """The slots in use of nodes that cover `low` to `high`: node's row, slot, and what the slot covers."""
        pivot_at, pivot_count, slot_at, slot_count = self._nodes[kind]
        start = node & np.uint64(_U64 & ~0xFF)
        last = np.repeat(high[:, None], slot_count, axis=1)
        last[:, : min(pivot_count, slot_count)] = self._read.rows(start + np.uint64(pivot_at), pivot_count)[
            :, :slot_count
        ]
        slot = self._read.rows(start + np.uint64(slot_at), slot_count)
        first = np.concatenate([low[:, None], last[:, :-1] + np.uint64(1)], axis=1)
        broken = (first > last) | (last > high[:, None])
        broken[:, 1:] |= last[:, 1:] == 0
        # A node ends with the slot that reaches its upper bound; later slots are stale.
        ended = np.zeros_like(broken)
        ended[:, 1:] = np.logical_or.accumulate(last == high[:, None], axis=1)[:, :-1]
        used = ~np.logical_or.accumulate(broken, axis=1) & ~ended & (slot != 0)
        row, column = np.nonzero(used)
        return row, slot[row, column], first[row, column], last[row, column]

    def _chained_areas(self, mms: list[int]) -> tuple[Pages, U64Array, bool]:
        """Linux 6.0: a chain through vm_next."""
        btf, read = self._read.kernel.btf, self._read
        head, following = btf.member_offset("mm_struct", "mmap"), btf.member_offset("vm_area_struct", "vm_next")
        spaces: list[int] = []
        areas: list[int] = []
        for space, mm in enumerate(mms):
            area = read.word(mm + head & _U64)
            while area and len(areas) < MAX_AREAS:
                spaces.append(space)
                areas.append(area)
                area = read.word(area + following & _U64)
        return np.array(spaces, np.int64), np.array(areas, np.uint64), len(areas) < MAX_AREAS


def _tasks_of(columns: U64Array) -> list[Task]:
    """Tasks by the columns that `TaskReader` reads of each: two of the name, signal, tgid, pid, flags, mm, stack.

    Those whose numbers no task can have are left out.
    """
    comms = columns[:2].T.tobytes()
    names = [comms[at : at + 16].split(b"\0", 1)[0].decode("utf-8", "replace") for at in range(0, len(comms), 16)]
    tgids, pids, flags, mms, stacks = (column.tolist() for column in columns[3:])
    return [
        Task(tgid, pid, name, 0 if flag & _PF_KTHREAD else mm, stack)
        for tgid, pid, name, flag, mm, stack in zip(tgids, pids, names, flags, mms, stacks, strict=True)
        if tgid < PID_LIMIT and pid < PID_LIMIT
    ]


_MAPLE_LEAF = 1
# enum maple_type of the nodes that memory areas use.
_MAPLE_KINDS = {_MAPLE_LEAF: "maple_range_64", 2: "maple_range_64", 3: "maple_arange_64"}
