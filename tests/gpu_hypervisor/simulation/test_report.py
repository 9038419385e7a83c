"""Figures of a simulation, of loads whose figures are known."""

import pytest

from gpu_hypervisor.scheduler import Finished
from gpu_hypervisor.simulation import Report, SimulatedJob


def make(weights, used):
    report = Report(weights, 2)
    for number, (name, taken) in enumerate(used.items()):
        report.submitted(number, SimulatedJob(0, name, "k", 1, taken or 1), 0)
        report.used(name, number, taken)
        report.finished(Finished(number, taken, False), 4 * (taken or 1))
    report.end(100)
    return report


def test_jains_index_is_one_for_shares_by_weight_and_one_nth_for_one_who_has_all():
    assert make({"a": 1, "b": 3}, {"a": 10, "b": 30}).jain == pytest.approx(1)
    assert make({"a": 1, "b": 1, "c": 1, "d": 1}, {"a": 10}).jain == pytest.approx(0.25)


def test_shares_utilisation_and_slowdown():
    report = make({"a": 1, "b": 1}, {"a": 10, "b": 30})
    assert report.shares == {"a": 0.25, "b": 0.75} and report.share_error == pytest.approx(0.5)
    assert report.utilisation == pytest.approx(0.2) and report.slowdown_p50 == 4
    assert report.jain_of_slowdowns == pytest.approx(1)


def test_times_of_decisions_are_ordered():
    report = Report({"a": 1}, 1)
    for took in (1000, 3000, 2000):
        report.decided(took)
    assert (report.decision_us(0), report.decision_us(0.5), report.decision_us(1)) == (1, 2, 3)
