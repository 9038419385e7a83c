"""Tasks found in slab pages, against the lists of the guest."""

from __future__ import annotations

import pytest

from qemu_bridge.introspection.hunt.task_slabs import find_live_tasks
from qemu_bridge.introspection.overlays.processes import tasks, threads_of
from qemu_bridge.kernel.budget import Budget

pytestmark = [pytest.mark.guest, pytest.mark.every_kernel]


def test_the_slabs_hold_the_tasks_of_the_lists_and_the_idle_ones(copy):
    context = copy.questions._context
    budget = Budget()
    found = find_live_tasks(context, budget)
    listed = {thread.address for leader in tasks(context.objects) for thread in threads_of(leader)}
    alive = {task for task in listed if not context.objects.at("task_struct", task)["exit_state"]}
    assert budget.complete and len(alive) > 30 and alive <= found
    assert {context.objects.at("task_struct", task)["pid"] for task in found - alive} <= {0}
