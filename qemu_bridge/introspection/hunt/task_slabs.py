"""The tasks that the slab cache of tasks holds, found page by page without a list of the guest's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...kernel.budget import Budget
from ...kernel.columns import KernelColumns, Pages, U64Array
from ...kernel.memmap import MemMap
from ...memory.addresses import PAGE_SHIFT, PAGE_SIZE, RamOffset
from ...wire.page_map import FLAG_HEAD
from ...wire.records import PageClass
from ..overlays import OverlayContext

_MAX_SLAB_PAGES = 1 << 20
_STACK_END_MAGIC = 0x57AC6E9D
"""What the kernel leaves at the far end of every stack (``include/uapi/linux/magic.h``, set_task_stack_end_magic)."""
_LEAST_TASK, _MOST_TASK = 1 << 10, 1 << 17
_KERNEL_HALF = 1 << 63
_SLAB_RED_ZONE = 0x400


def find_live_tasks(context: OverlayContext, budget: Budget) -> set[int] | None:
    """Addresses of the tasks in the slab cache that have a stack and have not ended; None where it cannot be searched.

    A task that was freed has no stack any more (``kernel/fork.c``: free_thread_stack).
    """
    space, symbol = context.objects, context.objects.address_of("task_struct_cachep")
    cache = space.at("kmem_cache", space.unsigned(symbol)) if symbol else None
    if cache is None or not cache.address:
        budget.skip("slab pages were not searched for tasks: this kernel has no symbol task_struct_cachep")
        return None
    read = KernelColumns(context.ram, context.kernel)
    memmap = MemMap(read)
    memmap.update()
    is_of_cache = (memmap.page_class == PageClass.SLAB) & (memmap.key == np.uint64(cache.address))
    size = cache["size"]
    if not _LEAST_TASK <= size <= _MOST_TASK:
        budget.skip(f"slab pages were not searched for tasks: one would have {size} bytes")
        return None
    pages = np.flatnonzero(is_of_cache)[:_MAX_SLAB_PAGES]
    red_zone = cache["red_left_pad"] if "red_left_pad" in cache and cache["flags"] & _SLAB_RED_ZONE else 0
    tasks = _objects(read, pages, memmap.flags[pages] & FLAG_HEAD != 0, size) + np.uint64(red_zone)
    budget.spend(1, len(pages) << PAGE_SHIFT)
    return set(_with_stack(read, tasks).tolist())


def _objects(read: KernelColumns, pages: Pages, is_head: npt.NDArray[np.bool_], size: int) -> U64Array:
    """Addresses of the objects of `size` bytes in the slabs that `pages` make up; a slab is pages in a row from a head on."""
    starts = np.flatnonzero(is_head | (np.diff(pages, prepend=-2) != 1))
    counts = np.diff(starts, append=len(pages))
    found = [np.zeros(0, np.uint64)]
    for first, count in zip(pages[starts].tolist(), counts.tolist(), strict=True):
        start = read.page_offset + read.ram.layout.to_physical(RamOffset(first << PAGE_SHIFT))
        steps = np.arange(0, count * PAGE_SIZE - size + 1, size, dtype=np.uint64)
        found.append(np.uint64(start) + steps)
    return np.concatenate(found)


def _with_stack(read: KernelColumns, tasks: U64Array) -> U64Array:
    """Those of `tasks` that have not ended and whose stack is one."""
    if not len(tasks):
        return tasks
    stack_at, exit_at = read.offset("task_struct", "stack"), read.offset("task_struct", "exit_state")
    stacks, ended = read.fields(tasks, (stack_at, 8), (exit_at, 4))
    rows = np.flatnonzero((stacks >= np.uint64(_KERNEL_HALF)) & (ended == 0))
    live: U64Array = tasks[rows[read.u32(stacks[rows]) == np.uint64(_STACK_END_MAGIC)]]
    return live
