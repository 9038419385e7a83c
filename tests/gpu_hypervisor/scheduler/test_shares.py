"""Shares of contended time."""

import pytest

from gpu_hypervisor.scheduler import JobClass, Policy
from gpu_hypervisor.scheduler.shares import Shares

B, T, INTERACTIVE = JobClass.BATCH, JobClass.THROUGHPUT, JobClass.INTERACTIVE
MS = 1_000_000


def test_shares_are_of_what_was_used_and_older_time_fades():
    shares = Shares(Policy(window_ns=10 * MS))
    assert shares.of(B) == 0
    shares.add(B, MS)
    shares.add(T, MS)
    assert 0.45 < shares.of(B) < 0.5 and shares.of(B) + shares.of(T) == pytest.approx(1)
    for _ in range(100):
        shares.add(T, MS)
    assert shares.of(B) < 1e-4


def test_the_unit_of_the_sums_does_not_show():
    shares = Shares(Policy(window_ns=MS))
    for _ in range(2000):
        shares.add(B, 3 * MS)
        shares.add(T, MS)
    shares.add(B, 10**18)
    assert shares.of(B) == pytest.approx(1)


def test_a_class_above_its_cap_waits_only_while_others_do():
    shares = Shares(Policy())
    shares.add(B, MS)
    assert shares.allowed((T, B)) == ((T,), "batch has more than its cap of 60%")
    assert shares.allowed((B,)) == ((B,), "")
    shares.add(T, MS)
    assert shares.allowed((T, B)) == ((T, B), "")


def test_a_class_below_its_guarantee_goes_first():
    shares = Shares(Policy(guarantees={INTERACTIVE: 0.3}, caps={}))
    shares.add(B, MS)
    assert shares.allowed((INTERACTIVE, B))[0] == (INTERACTIVE,)
    assert shares.allowed((T, B))[0] == (T, B)
