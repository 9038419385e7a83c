"""Suggestions: within the owner's bounds, logged, and taken back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_hypervisor import Hypervisor, JobClass
from gpu_hypervisor.advice import Advice, AdviceState, Bounds, Suggestion, describe
from gpu_hypervisor.engine import EventKind
from gpu_hypervisor.errors import AdmissionError
from qemu_bridge.errors import UsageError

BOUNDS = Bounds(0.5, 2.0, (JobClass.BATCH, JobClass.THROUGHPUT))


@pytest.fixture(scope="module")
def hypervisor():
    with Hypervisor() as found:
        yield found


@pytest.fixture
def tenant(hypervisor):
    with hypervisor.open_tenant("a", weight=10.0) as found:
        yield found


def test_what_is_within_the_bounds_holds_at_once_and_is_taken_back(hypervisor, tenant):
    advice = Advice(hypervisor, BOUNDS)
    one = advice.suggest(Suggestion("a", 20.0, reason="it waits"), "somebody")
    two = advice.suggest(Suggestion("a", 15.0, "batch"), "somebody")
    assert (tenant.weight, tenant.job_class) == (15.0, JobClass.BATCH)
    assert [entry.state for entry in advice.entries()] == [AdviceState.TAKEN] * 2
    assert hypervisor.activity.events()[-1].kind is EventKind.ADVISED
    with pytest.raises(UsageError, match="take that back first"):
        advice.undo(one.number)
    assert advice.undo(two.number).state is AdviceState.UNDONE
    assert (tenant.weight, tenant.job_class) == (20.0, None)
    advice.undo(one.number)
    assert tenant.weight == 10.0
    with pytest.raises(UsageError, match="does not hold"):
        advice.undo(one.number)
    assert describe(advice.entries()[0]) == "suggestion 1 by somebody undone: weight 10 -> 20: it waits"


@pytest.mark.parametrize(
    ("suggestion", "why"),
    [
        (Suggestion("a", 21.0), "takes 5 to 20"),
        (Suggestion("a", 4.9), "takes 5 to 20"),
        (Suggestion("a", float("nan")), "takes 5 to 20"),
        (Suggestion("a", -1.0), "takes 5 to 20"),
        (Suggestion("a", None, "realtime"), "batch, throughput"),
        (Suggestion("a", None, "interactive"), "batch, throughput"),
        (Suggestion("a", None, "x" * 1000), "batch, throughput"),
        (Suggestion("a"), "a weight, a class or both"),
        (Suggestion("b" * 1000, 10.0), "no tenant"),
    ],
)
def test_what_is_not_is_refused_and_logged(hypervisor, tenant, suggestion, why):
    advice = Advice(hypervisor, BOUNDS)
    with pytest.raises(UsageError, match=why):
        advice.suggest(suggestion, "somebody")
    (entry,) = advice.entries()
    assert entry.state is AdviceState.REFUSED and why in entry.note
    assert (tenant.weight, tenant.job_class) == (10.0, None)


def test_without_bounds_nothing_is_taken(hypervisor, tenant):
    with pytest.raises(AdmissionError, match="--advice-weights"):
        Advice(hypervisor).suggest(Suggestion("a", 10.0), "somebody")


def test_bounds_are_factors_of_what_the_owner_gave_last(hypervisor, tenant):
    advice = Advice(hypervisor, BOUNDS)
    for weight in (20.0, 15.0, 20.0):  # suggestions do not add up
        advice.suggest(Suggestion("a", weight), "somebody")
    with pytest.raises(AdmissionError):
        advice.suggest(Suggestion("a", 40.0), "somebody")
    hypervisor.set_weight("a", 30.0)
    entry = advice.suggest(Suggestion("a", 60.0), "somebody")
    hypervisor.set_weight("a", 50.0)
    with pytest.raises(UsageError, match="was changed since"):
        advice.undo(entry.number)
    assert tenant.weight == 50.0


def test_a_tenant_of_the_same_name_is_another_one(hypervisor):
    advice = Advice(hypervisor, BOUNDS)
    with hypervisor.open_tenant("b", weight=10.0):
        number = advice.suggest(Suggestion("b", 20.0), "somebody").number
    with hypervisor.open_tenant("b", weight=10.0) as second:
        with pytest.raises(UsageError, match="is gone"):
            advice.undo(number)
        assert second.weight == 10.0


def test_a_flood_of_suggestions_is_refused(hypervisor, tenant):
    advice = Advice(hypervisor, BOUNDS)
    for _ in range(60):
        advice.suggest(Suggestion("a", 11.0), "somebody")
    with pytest.raises(AdmissionError, match="within a minute"):
        advice.suggest(Suggestion("a", 11.0), "somebody")


@pytest.mark.parametrize(
    "bounds", [Bounds(0.0, 1.0), Bounds(1.5, 2.0), Bounds(0.5, float("inf")), Bounds(1, 1, (JobClass.REALTIME,))]
)
def test_bounds_that_cannot_be_are_refused(hypervisor, bounds):
    with pytest.raises(UsageError):
        Advice(hypervisor, bounds)


@given(st.lists(st.tuples(st.floats(0.1, 100.0), st.sampled_from([None, "batch", "inferred"])), max_size=8))
def test_taking_all_back_restores_what_was(hypervisor, wanted):
    advice = Advice(hypervisor, BOUNDS)
    with hypervisor.open_tenant("c", weight=7.0, job_class=JobClass.THROUGHPUT) as tenant:
        taken = []
        for weight, job_class in wanted:
            try:
                taken.append(advice.suggest(Suggestion("c", weight, job_class), "somebody").number)
            except AdmissionError:
                assert not 3.5 <= weight <= 14.0
            assert 3.5 <= tenant.weight <= 14.0
        for number in reversed(taken):
            advice.undo(number)
        assert (tenant.weight, tenant.job_class) == (7.0, JobClass.THROUGHPUT)
