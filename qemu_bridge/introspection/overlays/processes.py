"""Processes and threads, as ``ps`` and ``ps -T`` would list them inside (``fs/proc/array.c``, releases 6.0 to 6.12).

Every thread is a ``task_struct``. The leaders of thread groups, the pid of which user space sees as the pid of the process, are a circular
list through ``tasks`` that starts at ``init_task``; the threads of a group are a list through ``thread_node`` that starts
in the ``signal_struct`` they share.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from ...errors import GlassBoxError
from ...kernel.budget import Budget
from ...kernel.objects import KernelObjects, Object
from ...memory.addresses import VirtualAddress
from ...wire.records import Process
from .overlay import BuiltOverlay, OverlayContext, each

MAX_PROCESSES = 1 << 16
MAX_THREADS = 1 << 17
_MAX_COMMAND_LINE = 4096
_MAX_NAME = 255
_PF_WQ_WORKER = 0x00000020
_PF_KTHREAD = 0x00200000
_TASK_IDLE, _TASK_REPORT, _TASK_RTLOCK_WAIT, _TASK_FROZEN = 0x402, 0x7F, 0x1000, 0x8000
# fs/proc/array.c: task_state_array, by the highest bit set.
_STATE_LETTERS = "RSDTtXZPI"
_RESCUER = "kworker/R-"
_RESIDENT_KINDS = (0, 1, 3)
_SWAPPED_KINDS = (2,)
_U64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Thread:
    """One thread: `task` is the address of its ``task_struct``, `started_ns` counts from boot."""

    pid: int
    thread_id: int
    parent_pid: int
    uid: int
    state: str
    cpu: int
    nice: int
    started_ns: int
    name: str
    task: int


def tasks(space: KernelObjects) -> Iterator[Object]:
    """Yield the leader of every thread group, in the order of their creation."""
    head = space.kernel.address_of("init_task") + space.offset("task_struct", "tasks")
    return space.linked(head, "task_struct", "tasks", MAX_PROCESSES)


def find_task(space: KernelObjects, pid: int) -> Object | None:
    """The leader of thread group `pid`, None when there is none that can be read."""
    for task in tasks(space):
        with suppress(GlassBoxError):
            if task["tgid"] == pid:
                return task
    return None


def threads_of(leader: Object) -> Iterator[Object]:
    """Yield the threads of a group, its leader first."""
    signal = leader.follow("signal")
    if signal is None:
        return iter(())
    return leader.space.linked(signal.at("thread_head"), "task_struct", "thread_node", MAX_THREADS)


def user_memory(task: Object) -> Object | None:
    """The ``mm_struct`` of a task, None for a kernel thread."""
    return None if task["flags"] & _PF_KTHREAD else task.follow("mm")


def read_processes(context: OverlayContext, budget: Budget) -> Iterator[Process]:
    """Yield every thread group."""
    cpu_bases = context.kernel.read_cpu_bases() if context.has("rss_per_cpu") else None
    return each(tasks(context.objects), lambda task: _process(task, cpu_bases), budget, "task")


def read_threads(context: OverlayContext, budget: Budget) -> Iterator[Thread]:
    """Yield every thread of every group."""
    for leader in tasks(context.objects):
        yield from each(threads_of(leader), _thread, budget, "thread")


def task_name(task: Object) -> str:
    """The name as ``/proc/PID/stat`` has it: for a kernel thread the full name, for a kworker with its workqueue."""
    name, flags = task.text("comm"), task["flags"]
    if not flags & _PF_KTHREAD or not task["worker_private"]:
        return name
    with suppress(GlassBoxError):
        kthread = task.space.at("kthread", task["worker_private"])
        if flags & _PF_WQ_WORKER:
            return _worker_name(name, task.space.at("worker", kthread["data"]))
        if "full_name" in kthread:
            return kthread.text_at("full_name", _MAX_NAME) or name
    return name


def state_letter(state: int, exit_state: int) -> str:
    """The letter of ``/proc/PID/status`` (``include/linux/sched.h``, __task_state_index)."""
    shown = (state | exit_state) & _TASK_REPORT
    if state & _TASK_IDLE == _TASK_IDLE:
        shown = _TASK_REPORT + 1
    elif state & (_TASK_RTLOCK_WAIT | _TASK_FROZEN):
        shown = 2
    return _STATE_LETTERS[shown.bit_length()]


def _process(task: Object, cpu_bases: list[int] | None) -> Process:
    mm, signal, cred = user_memory(task), task.follow("signal"), task.follow("real_cred")
    root = None if mm is None else task.space.physical(mm["pgd"])
    return Process(
        pid=task["tgid"],
        parent_pid=_parent(task),
        uid=cred["uid.val"] if cred else 0,
        state=state_letter(task["__state"], task["exit_state"]),
        name=task_name(task),
        command_line="" if mm is None or root is None else _command_line(mm),
        page_table=root,
        thread_count=signal["nr_threads"] if signal else 0,
        resident_pages=0 if mm is None else _pages(task, mm, cpu_bases, _RESIDENT_KINDS),
        swapped_pages=0 if mm is None else _pages(task, mm, cpu_bases, _SWAPPED_KINDS),
    )


def _thread(task: Object) -> Thread:
    cred = task.follow("real_cred")
    return Thread(
        pid=task["tgid"],
        thread_id=task["pid"],
        parent_pid=_parent(task),
        uid=cred["uid.val"] if cred else 0,
        state=state_letter(task["__state"], task["exit_state"]),
        cpu=_cpu(task),
        nice=task["static_prio"] - 120,
        started_ns=task["start_boottime"],
        name=task_name(task),
        task=task.address,
    )


def _cpu(task: Object) -> int:
    """The CPU it runs or last ran on: in ``thread_info`` since release 5.16 (bcf9033e5449), before in the task."""
    return task["thread_info.cpu"] if "thread_info.cpu" in task else task["cpu"]


def _parent(task: Object) -> int:
    parent = task.follow("real_parent")
    return parent["tgid"] if parent else 0


def _worker_name(name: str, worker: Object) -> str:
    """The name of a workqueue's thread (``kernel/workqueue.c``, wq_worker_comm)."""
    if name.startswith(_RESCUER):
        queue = worker.follow("rescue_wq")
        name = _RESCUER + (queue.text("name") if queue else "")
    described = worker.text("desc")
    if not described or not worker["pool"]:
        return name
    return f"{name}{'+' if worker['current_work'] else '-'}{described}"


def _command_line(mm: Object) -> str:
    """The command line, arguments joined by blanks; as much as is in RAM."""
    root = mm.space.physical(mm["pgd"])
    start = mm["arg_start"]
    length = min(mm["arg_end"] - start, _MAX_COMMAND_LINE)
    if root is None or length <= 0:
        return ""
    data = mm.space.page_tables(root).read_some(VirtualAddress(start), length)
    return data.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")


def _pages(task: Object, mm: Object, cpu_bases: list[int] | None, kinds: tuple[int, ...]) -> int:
    """How many pages of these `kinds` (``include/linux/mm_types_task.h``) a process has.

    Each kind has one counter. What is added to it reaches it in batches: until release 6.2 threads keep the rest, since then
    CPUs do.
    """
    if cpu_bases is not None:
        counters = mm.elements("rss_stat")
        return sum(max(_sum_of(counters[kind], cpu_bases), 0) for kind in kinds if kind < len(counters))
    counts = [value - (value >> 63 << 64) for value in mm.numbers("rss_stat.count")]
    if "rss_stat.count" in task:
        for thread in threads_of(task):
            kept = [value - (value >> 31 << 32) for value in thread.numbers("rss_stat.count")]
            counts = [count + more for count, more in zip(counts, kept, strict=False)]
    return sum(max(counts[kind], 0) for kind in kinds if kind < len(counts))


def _sum_of(counter: Object, cpu_bases: list[int]) -> int:
    """The value of a ``percpu_counter`` (``lib/percpu_counter.c``, __percpu_counter_sum)."""
    total = counter["count"]
    with suppress(GlassBoxError):  # a process that comes or goes: the common counter alone
        for base in cpu_bases:
            value = counter.space.unsigned(counter["counters"] + base & _U64, 4)
            total += value - (value >> 31 << 32)
    return total


PROCESSES = BuiltOverlay(
    "processes",
    "Every process, kernel threads among them.",
    ("pid", "parent_pid", "uid", "state", "thread_count", "resident_pages", "name", "command_line"),
    read_processes,
    is_never_empty=True,
)
THREADS = BuiltOverlay(
    "threads",
    "Every thread of every process.",
    ("pid", "thread_id", "parent_pid", "uid", "state", "cpu", "nice", "started_ns", "task:#x", "name"),
    read_threads,
    is_never_empty=True,
)
