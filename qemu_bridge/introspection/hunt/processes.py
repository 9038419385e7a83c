"""Processes: code that comes from no file, from a file that was removed or that lives in memory alone, code that can be
written, libraries that the environment loads first, and credentials that two processes share.

All of these have honest uses. Compilers that make code while a program runs need memory of their own that can be executed; an upgrade
removes programs and libraries that still run. A finding says what is there.

Each process has credentials of its own, made when it is (``kernel/cred.c``: copy_creds). Threads share those of their
process; two processes do so only where somebody wrote the pointer. That is ``real_cred``: the other one, ``cred``, is exchanged
while a task works for somebody else, as in overlayfs.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import GlassBoxError
from ...kernel.budget import Budget
from ...kernel.objects import Object
from ...memory.addresses import VirtualAddress, format_size
from ...memory.paging import PageTables
from ...wire.records import DELETED, Finding, FindingKind, MemoryMapping
from ..overlays import OverlayContext
from ..overlays.areas import AreaReader
from ..overlays.processes import task_name, user_memory
from .tasks import live_leaders

_KERNEL_MADE = ("[vdso]", "[vsyscall]", "[uprobes]")
"""Areas of code that the kernel puts into processes (``arch/x86/entry/vdso``, ``kernel/events/uprobes.c``)."""
_VERDICTS = {
    FindingKind.MEMORY_CODE: "It executes a file that exists in memory alone: no disk ever held it.",
    FindingKind.REMOVED_CODE: "It executes a file that was removed; an upgrade does so too, as does who leaves no trace.",
    FindingKind.ANONYMOUS_CODE: "It may execute memory that comes from no file: injected code, or what a compiler made while it ran.",
    FindingKind.WRITABLE_CODE: "It may write to code of a file and execute it: the code need not be the file's any more.",
}
"""Of code that a process may execute, in the order of `_odd_code`."""
_MEMFD = "/memfd:"
_PRELOADS = (b"LD_PRELOAD=", b"LD_AUDIT=")
_MAX_ENVIRONMENT = 128 << 10
_MAX_LINES = 16
_MAX_PRELOAD = 512


def read_odd_processes(context: OverlayContext, budget: Budget) -> Iterator[Finding]:
    """Yield what is odd about each process."""
    reader = AreaReader(context, budget)
    owners: dict[int, Object] = {}
    init = context.objects.symbol("init_task", "task_struct")
    for task in (init, *live_leaders(context, budget)):
        try:
            yield from _shared_credentials(task, owners)
            mm = user_memory(task)
            root = None if mm is None else context.objects.physical(mm["pgd"])
            if mm is None or root is None:
                continue
            tables = context.objects.page_tables(root)
            yield from _odd_code(task, reader.mappings(mm), tables)
            yield from _preloads(task, mm, tables)
        except GlassBoxError as error:
            budget.skip_unread("a process", error)


def _odd_code(task: Object, mappings: list[MemoryMapping], tables: PageTables) -> Iterator[Finding]:
    runs = [area for area in mappings if "x" in area.permissions and area.path not in _KERNEL_MADE]
    in_memory = [area for area in runs if area.path.startswith(_MEMFD)]
    removed = [area for area in runs if area.path.endswith(DELETED) and area not in in_memory]
    anonymous = [area for area in runs if not area.inode]
    writable = [area for area in runs if "w" in area.permissions and area not in anonymous]
    found = (in_memory, removed, anonymous, writable)
    for (kind, verdict), areas in zip(_VERDICTS.items(), found, strict=True):
        yield from _code(kind, task, areas, tables, verdict)


def _code(
    kind: FindingKind, task: Object, areas: list[MemoryMapping], tables: PageTables, verdict: str
) -> Iterator[Finding]:
    if not areas:
        return
    lines = [_line(area, tables) for area in areas[:_MAX_LINES]]
    if len(areas) > _MAX_LINES:
        lines.append(f"and {len(areas) - _MAX_LINES} more such areas")
    yield _finding(kind, task, verdict, lines, areas[0].start)


def _line(area: MemoryMapping, tables: PageTables) -> str:
    content = tables.read_some(area.start, 16)
    begins = f", begins with {content.hex(' ')}" if content else ", its first page is not in RAM"
    what = f" {area.path}" if area.path else ""
    return f"{area.start:#x}-{area.end:#x} {area.permissions} {format_size(area.end - area.start)}{what}{begins}"


def _preloads(task: Object, mm: Object, tables: PageTables) -> Iterator[Finding]:
    start = mm["env_start"]
    size = min(mm["env_end"] - start, _MAX_ENVIRONMENT)
    environment = tables.read_some(VirtualAddress(start), size) if size > 0 else b""
    lines = [
        variable[:_MAX_PRELOAD].decode("utf-8", "replace")
        for variable in environment.split(b"\0")
        if variable.startswith(_PRELOADS) and not variable.endswith(b"=")
    ]
    if lines:
        verdict = "Its environment has libraries loaded before all others, which can take the place of any function."
        yield _finding(FindingKind.PRELOAD, task, verdict, lines[:_MAX_LINES], start)


def _shared_credentials(task: Object, owners: dict[int, Object]) -> Iterator[Finding]:
    """Yield a finding of a task whose own credentials one of `owners` has as well."""
    first = owners.setdefault(task["real_cred"], task)
    if first.address == task.address:
        return
    lines = [f"its real_cred, {task['real_cred']:#x}, is that of {task_name(first)} (pid {first['tgid']}) as well"]
    cred = task.follow("real_cred")
    if cred is not None:
        lines.append(f"uid {cred['uid.val']}, effective {cred['euid.val']}")
    verdict = "It has the credentials of another process, not a copy of them: somebody wrote the pointer."
    yield _finding(FindingKind.SHARED_CREDENTIALS, task, verdict, lines, task.address)


def _finding(kind: FindingKind, task: Object, verdict: str, lines: list[str], address: int) -> Finding:
    pid = task["tgid"]
    return Finding(kind, f"{task_name(task)} (pid {pid})", verdict, tuple(lines), VirtualAddress(address), pid)
