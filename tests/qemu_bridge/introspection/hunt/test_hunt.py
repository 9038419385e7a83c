"""Guests in which nothing hides, and the second look."""

from __future__ import annotations

import pytest

from qemu_bridge.errors import GuestError
from qemu_bridge.introspection.hunt.hunt import LOOKS, hunt
from qemu_bridge.kernel.budget import Budget
from qemu_bridge.wire.records import Finding, FindingKind

pytestmark = pytest.mark.guest
FORKS = "i=0; while [ $i -lt 3000 ]; do (:); (:) & i=$((i+1)); done >/dev/null 2>&1 & echo $!"


@pytest.mark.every_kernel
def test_nothing_is_found_in_a_guest_in_which_nothing_hides(each_machine):
    answer = each_machine.client.hunt()
    assert answer.value == () and answer.skipped == ()


def test_nothing_is_found_in_a_guest_that_forks_all_the_time(machine):
    pid = machine.exec(FORKS).decode().strip()
    try:
        answers = [machine.client.hunt() for _ in range(4)]
        machine.exec(f"kill -0 {pid}")  # it did so all the time
    finally:
        machine.exec(f"kill {pid} 2>/dev/null; true")
    assert [answer.value for answer in answers] == [()] * 4


def test_what_is_not_found_again_is_no_finding(machine):
    looks = []

    def look(context, budget):
        looks.append(len(looks))
        numbers = (1, 2) if len(looks) == 1 else (2,)
        return (Finding(FindingKind.HIDDEN_TASK, str(number), "", (), number) for number in numbers)

    found = hunt(machine.context, Budget(), is_live=True, looks={"all": look})
    assert [finding.subject for finding in found] == ["2"]
    assert len(looks) == 4


def test_what_cannot_be_looked_at_is_said_and_the_rest_is_looked_at(machine):
    def fail(context, budget):
        raise GuestError("it has no such table; try another")

    budget = Budget()
    machine.context.forget()
    assert not list(hunt(machine.context, budget, is_live=True, looks={"gates": fail, **LOOKS}))
    assert budget.skipped == ["gates cannot be read: it has no such table"]
