"""Guests in which nothing hides, and the second look."""

from __future__ import annotations

import pytest

from qemu_bridge.errors import GuestError
from qemu_bridge.introspection.hunt.hunt import LOOKS, hunt
from qemu_bridge.kernel.budget import Budget
from qemu_bridge.wire.records import Finding, FindingKind

pytestmark = pytest.mark.guest
FORKS = "while :; do (:); (:) & done >/dev/null 2>&1 & echo $!"


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
        machine.exec(f"kill {pid}")
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


def finding(number):
    return Finding(FindingKind.HIDDEN_TASK, str(number), "", (), number)


def spend_items(budget):
    while True:
        budget.spend(1 << 12)


def spend_time(budget):
    while True:
        pass


@pytest.mark.parametrize("spend", [spend_items, spend_time])
@pytest.mark.parametrize("is_live", [False, True])
def test_a_look_that_spends_all_takes_nothing_from_the_others_and_keeps_its_findings(machine, spend, is_live):
    def endless(context, budget):
        yield finding(1)
        spend(budget)

    def other(context, budget):
        budget.spend()
        yield finding(2)

    budget = Budget(time_s=1.0 if is_live else 0.5)
    looks = {"tasks": endless, "modules": other}
    if spend is spend_time:  # the alarm comes a quarter of a second after the end of a look's share
        looks["modules"] = lambda context, budget: iter([finding(2)])
    found = list(hunt(machine.context, budget, is_live=is_live, looks=looks))
    assert [one.subject for one in found] == ["1", "2"]
    assert [note.partition(" exceeded")[0] for note in budget.skipped] == ["tasks"], budget.skipped


def test_a_look_that_fails_on_its_way_keeps_its_findings(machine):
    def fail(context, budget):
        yield finding(1)
        raise GuestError("it changes; ask again")

    budget = Budget()
    assert [one.subject for one in hunt(machine.context, budget, is_live=False, looks={"tasks": fail})] == ["1"]
    assert budget.skipped == ["tasks cannot be read: it changes"]


def test_a_cut_look_does_not_refute_what_it_did_not_come_to(machine):
    looks = []

    def look(context, budget):
        looks.append(len(looks))
        yield finding(1)
        if len(looks) > 1:
            spend_items(budget)
        yield finding(2)

    found = hunt(machine.context, Budget(), is_live=True, looks={"tasks": look})
    assert [one.subject for one in found] == ["1", "2"] and len(looks) == 2


def test_what_looks_find_may_be_much_and_is_bounded(machine):
    budget = Budget()
    looks = {"tasks": lambda context, budget: map(finding, range(1 << 20)), "modules": lambda *_: iter([finding(0)])}
    found = list(hunt(machine.context, budget, is_live=False, looks=looks))
    assert 1000 < len(found) < 1 << 16 and found[-1].subject == "0"
    assert "too many findings" in budget.skipped[0]
