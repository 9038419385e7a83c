"""Tasks and memory areas as columns, against the overlays that read them one by one."""

import numpy as np
import pytest

from qemu_bridge.introspection.classes.tasks import TaskReader
from qemu_bridge.introspection.overlays import OverlayContext, find_overlays, read_overlay
from qemu_bridge.kernel.budget import Budget
from qemu_bridge.kernel.columns import KernelColumns

pytestmark = pytest.mark.guest


def test_tasks_and_areas_are_those_that_the_overlays_list(each_machine):
    machine = each_machine
    with machine.paused():
        context = OverlayContext(machine.ram, machine.kernel)
        overlays = find_overlays()
        threads, areas = (read_overlay(overlays.find(name), context, Budget()).rows for name in ("threads", "areas"))
        reader = TaskReader(KernelColumns(machine.ram, machine.kernel))
        tasks = reader.tasks()
        spaces = reader.spaces(tasks)
        found = reader.areas([space.mm for space in spaces])
    # The idle task of each CPU is in no list that an overlay reads.
    tasks = [task for task in tasks if task.pid]
    listed = {row["thread_id"]: (row["pid"], row["name"]) for row in threads}
    assert {task.tid: task.pid for task in tasks} == {tid: pid for tid, (pid, _) in listed.items()} and found.complete
    # Of a kernel worker the overlay shows the work too, as /proc does.
    assert all(task.name == listed[task.tid][1] for task in tasks if task.mm)
    counts = np.bincount((found.start >> np.uint64(45)).astype(np.int64), minlength=len(spaces)).tolist()
    for space, count in zip(spaces, counts, strict=True):
        assert count == sum(row["pid"] == space.pid and row["path"] != "[vsyscall]" for row in areas), space
