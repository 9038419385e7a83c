"""A budget ends what would not end, and says why."""

import signal
import threading
import time

import pytest

from qemu_bridge.errors import AddressError
from qemu_bridge.kernel.budget import MAX_NOTES, Budget, OutOfBudgetError


def test_items_bytes_and_time_are_each_bounded():
    few = Budget(items=10)
    few.spend(10)
    with pytest.raises(OutOfBudgetError, match="items"):
        few.spend()
    with pytest.raises(OutOfBudgetError, match="bytes"):
        Budget(size=4096).spend(0, 4097)
    with pytest.raises(OutOfBudgetError, match="time"):
        Budget(time_s=-1.0).spend()


def test_what_is_within_the_budget_is_complete_until_something_is_left_out():
    budget = Budget()
    budget.spend(5, 5)
    assert budget.complete
    budget.skip("twice")
    budget.skip("twice")
    assert budget.skipped == ["twice"]
    for number in range(100):
        budget.skip(f"number {number}")
    assert not budget.complete and len(budget.skipped) == MAX_NOTES


def test_code_that_catches_every_exception_is_still_ended():
    def hang():
        while True:
            try:
                time.sleep(0.001)
            except Exception:
                pass

    started = time.monotonic()
    with pytest.raises(OutOfBudgetError), Budget(time_s=0.05).watch():
        hang()
    assert time.monotonic() - started < 20


def test_an_alarm_that_somebody_else_has_set_comes_all_the_same():
    came = []
    kept = signal.signal(signal.SIGALRM, lambda *_: came.append(True))
    before = signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with Budget(time_s=10.0).watch():
            pass
        deadline = time.monotonic() + 2.0
        while not came and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)
        signal.signal(signal.SIGALRM, kept)
    assert came


def test_in_another_thread_the_watch_does_nothing_and_spending_still_ends():
    ended = []

    def run():
        budget = Budget(time_s=0.05)
        with budget.watch():
            try:
                while True:
                    budget.spend()
            except OutOfBudgetError as error:
                ended.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(5.0)
    assert ended


def test_what_cannot_be_read_is_noted_with_the_reason_and_without_the_advice():
    budget = Budget()
    budget.skip_unread("a list", AddressError("0x1000 is not mapped; pause the machine"))
    assert budget.skipped == ["a list cannot be read: 0x1000 is not mapped"] and not budget.complete
