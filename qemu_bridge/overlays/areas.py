"""Virtual memory areas of every process: what ``/proc/PID/maps`` would show for each (``fs/proc/task_mmu.c``)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..budget import Budget
from ..errors import GlassBoxError
from .overlay import BuiltOverlay, OverlayContext
from .processes import tasks, user_memory


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
    adapter = context.adapter
    adapter.refresh()
    for task in tasks(context.objects):
        budget.spend()
        try:
            if user_memory(task) is None:
                continue
            mappings = adapter.mappings(pid := task["tgid"])
        except GlassBoxError as error:
            budget.skip(f"the areas of a process cannot be read: {str(error).split(';')[0]}")
            continue
        for sentence in adapter.skipped:
            budget.skip(f"process {pid}: {sentence}")
        for area in mappings:
            yield Area(
                pid, area.start, area.end, area.permissions, area.file_offset, area.device, area.inode, area.path
            )


AREAS = BuiltOverlay(
    "areas",
    "Every virtual memory area of every process.",
    ("pid", "start:#x", "end:#x", "permissions", "file_offset:#x", "device", "inode", "path"),
    read_areas,
)
