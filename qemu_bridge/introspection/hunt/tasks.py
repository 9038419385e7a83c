"""Tasks, looked up in four ways: who is taken out of one of them still stands in another.

- The list of tasks, from ``init_task`` on, and of each group of threads the list of its threads (``include/linux/sched/signal.h``:
  for_each_process_thread). Many tools and much of the kernel walk it.
- The tables of pids, one for each pid namespace (``kernel/pid.c``). ``/proc``, and with it ps and kill, knows no others.
- The processors: the task that each runs now (``kernel/sched/sched.h``: struct rq).
- The slab cache that all tasks are allocated from. It is searched page by page, and needs nobody's lists.

Tasks that have ended stay in their slab for a while, and a task that is being made is there before it is in any list; neither counts.
The idle task of each processor is in no list.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from ...errors import AddressError, GlassBoxError
from ...kernel.budget import Budget
from ...kernel.objects import KernelObjects, Object
from ...kernel.xarray import iter_entries
from ...memory.addresses import VirtualAddress
from ...wire.records import Finding, FindingKind
from ..overlays import OverlayContext
from ..overlays.processes import MAX_PROCESSES, MAX_THREADS, state_letter, task_name
from .lists import links_around
from .task_slabs import find_live_tasks

_MAX_LEVEL = 32
_MAX_PIDS = 1 << 22
_TASK_NEW, _TASK_DEAD = 0x800, 0x80
_NS_PER_S = 1_000_000_000


@dataclass
class _Views:
    """Where each task was found, by the address of its ``task_struct``; None for a way that cannot be gone.

    `pids` has the numbers of a task in its pid namespaces, the outermost first; `uncertain` the processes whose list of threads
    cannot be followed to its end.
    """

    listed: set[int] | None = None
    pids: dict[int, tuple[int, ...]] | None = None
    slab: set[int] | None = None
    running: dict[int, int] = field(default_factory=dict)
    idle: set[int] = field(default_factory=set)
    uncertain: set[int] = field(default_factory=set)

    def everywhere(self) -> list[int]:
        found = {*(self.listed or ()), *(self.pids or ()), *(self.slab or ()), *self.running}
        return sorted(found - self.idle)


def read_hidden_tasks(context: OverlayContext, budget: Budget) -> Iterator[Finding]:
    """Yield each task that is missing where every task should be."""
    space, views = context.objects, _views(context, budget)
    for address in views.everywhere():
        budget.spend()
        try:
            finding = _judge(space.at("task_struct", address), views)
        except GlassBoxError as error:
            budget.skip_unread("a task", error)
            continue
        if finding is not None:
            yield finding


def live_leaders(context: OverlayContext, budget: Budget) -> Iterator[Object]:
    """Yield the first thread of every process that has not ended, found in any way: of those that hide too."""
    for address in _views(context, budget).everywhere():
        budget.spend()
        task = context.objects.at("task_struct", address)
        with suppress(AddressError):
            if task["pid"] == task["tgid"] and _is_alive(task):
                yield task


def _views(context: OverlayContext, budget: Budget) -> _Views:
    """Those of `context`, read once until it forgets."""
    return context.kept(_Views, lambda: _read_views(context, budget))


def _read_views(context: OverlayContext, budget: Budget) -> _Views:
    space, uncertain = context.objects, set[int]()
    listed = _listed(space, budget, uncertain)
    views = _Views(listed, _by_pid(space, budget), find_live_tasks(context, budget), uncertain=uncertain)
    _read_processors(context, views)
    return views


def _is_alive(task: Object) -> bool:
    return not task["exit_state"] and not task["__state"] & (_TASK_NEW | _TASK_DEAD)


def _judge(task: Object, views: _Views) -> Finding | None:
    """What is said of a task; None of one that is where it should be, or of which nobody can tell yet or any more."""
    is_unlisted = views.listed is not None and task.address not in views.listed and task["tgid"] not in views.uncertain
    has_no_pid = views.pids is not None and task.address not in views.pids
    if not (is_unlisted or has_no_pid) or not _is_alive(task):
        return None
    if is_unlisted and has_no_pid:
        verdict = "The task is in neither the list of tasks nor the table of pids: no tool inside the guest can see it."
    elif is_unlisted:
        verdict = "The task was taken out of the list of tasks: what walks that list does not see it."
    else:
        verdict = "The task was taken out of the table of pids: /proc, ps and kill do not know it."
    process, thread = task["tgid"], task["pid"]
    number = f"pid {process}" if process == thread else f"pid {process}, thread {thread}"
    return Finding(
        FindingKind.HIDDEN_TASK,
        f"{task_name(task)} ({number})",
        verdict,
        (*_seen(task.address, views), *_described(task)),
        VirtualAddress(task.address),
        process,
    )


def _seen(address: int, views: _Views) -> Iterator[str]:
    """Yield where a task was found, and where not."""
    if views.listed is not None:
        yield "is in the list of tasks" if address in views.listed else "is not in the list of tasks from init_task on"
    if views.pids is not None:
        numbers = views.pids.get(address)
        yield f"has in the table of pids {', '.join(map(str, numbers))}" if numbers else "is not in the table of pids"
    if views.slab is not None and address in views.slab:
        yield f"is in use in the slab cache task_struct, at {address:#x}"
    if address in views.running:
        yield f"runs on CPU {views.running[address]}"


def _described(task: Object) -> Iterator[str]:
    parent, cred = task.follow("real_parent"), task.follow("real_cred")
    yield f"state {state_letter(task['__state'], task['exit_state'])}, started {task['start_boottime'] / _NS_PER_S:.1f} s after boot"
    if parent is not None:
        yield f"its parent is {parent.text('comm')} (pid {parent['tgid']})"
    if cred is not None:
        yield f"uid {cred['uid.val']}, effective {cred['euid.val']}"


def _listed(space: KernelObjects, budget: Budget, uncertain: set[int]) -> set[int] | None:
    """All tasks that the lists lead to, forwards and backwards; None where the list of processes cannot be followed to its end.

    Adds to `uncertain` the processes whose list of threads cannot be.
    """
    init = space.address_of("init_task")
    back = space.offset("task_struct", "tasks")
    leaders = links_around(space, init + back, MAX_PROCESSES) if init else None
    if leaders is None:
        budget.skip(
            "the list of tasks does not close, so nobody can tell who is missing in it; pause the machine and ask again"
        )
        return None
    found = {init}
    for link in leaders:
        leader = space.at("task_struct", link - back)
        found.add(leader.address)
        try:
            threads = _threads(leader)
            if threads is None:
                uncertain.add(leader["tgid"])
                if _is_alive(leader):  # if not, its list was freed while it was read
                    budget.skip(
                        f"the list of threads of {task_name(leader)} (pid {leader['tgid']}) does not close, so nobody can tell"
                        " which is missing in it; pause the machine and ask again"
                    )
        except AddressError:
            continue  # the leader ended meanwhile
        found |= threads or set()
    return found


def _threads(leader: Object) -> set[int] | None:
    """The threads of a process, as its list has them in both directions; None where that does not close."""
    signal, back = leader.follow("signal"), leader.space.offset("task_struct", "thread_node")
    links = set() if signal is None else links_around(leader.space, signal.at("thread_head"), MAX_THREADS)
    return None if links is None else {link - back for link in links}


def _by_pid(space: KernelObjects, budget: Budget) -> dict[int, tuple[int, ...]] | None:
    """The numbers of every task that the pid tables lead to, by its address; None where these cannot be read.

    A task must be in the table of each of its namespaces: one of which a table lacks it is left out.
    """
    outermost = space.address_of("init_pid_ns")
    if not outermost or not space.has("pid_namespace", "idr"):
        budget.skip("the tables of pids were not compared: this kernel has no init_pid_ns with an idr")
        return None
    tables = {outermost: _table(space, outermost)}
    found: dict[int, tuple[int, ...]] = {}
    for pid in tables[outermost].values():
        record = space.at("pid", pid)
        try:
            task, numbers = _task_of(record), _numbers(record)
            for namespace, _ in numbers:
                if namespace not in tables:
                    tables[namespace] = _table(space, namespace)
        except AddressError:
            continue  # it ended meanwhile
        if task and all(tables[namespace].get(number) == pid for namespace, number in numbers):
            found[task] = tuple(number for _, number in numbers)
    return found


def _table(space: KernelObjects, namespace: int) -> dict[int, int]:
    """The ``struct pid`` of every number of a pid namespace."""
    idr = space.at("pid_namespace", namespace).inner("idr")
    base = idr["idr_base"] if "idr_base" in idr else 0
    found: dict[int, int] = {}
    for index, pid in iter_entries(space, idr["idr_rt.xa_head"]):
        found[index + base] = pid
        if len(found) >= _MAX_PIDS:
            break
    return found


def _task_of(pid: Object) -> int:
    """The task whose number a ``struct pid`` is; 0 where it only names a group or a session any more."""
    link = pid.numbers("tasks")[0]
    return link - pid.space.offset("task_struct", "pid_links") if link else 0


def _numbers(pid: Object) -> list[tuple[int, int]]:
    """(namespace, number) of a ``struct pid``, the outermost first."""
    space, first, size = pid.space, pid.at("numbers"), pid.space.size("upid")
    entries = [space.at("upid", first + size * level) for level in range(min(pid["level"], _MAX_LEVEL) + 1)]
    return [(entry["ns"], entry["nr"]) for entry in entries]


def _read_processors(context: OverlayContext, views: _Views) -> None:
    """Note what each processor runs, and its idle task."""
    space, queue = context.objects, context.objects.address_of("runqueues")
    views.idle.add(space.address_of("init_task"))
    if not queue or not space.has("rq", "idle"):
        views.idle.update(_of_pid_0(space, views.everywhere()))
        return
    for cpu, base in enumerate(context.kernel.read_cpu_bases()):
        try:
            run_queue = space.at("rq", queue + base)
            views.idle.add(run_queue["idle"])
            if (current := run_queue["curr"]) and current != run_queue["idle"]:
                views.running[current] = cpu
        except AddressError:
            continue  # a processor that was never switched on


def _of_pid_0(space: KernelObjects, tasks: Iterable[int]) -> Iterator[int]:
    return (task for task in tasks if not space.at("task_struct", task)["pid"])
