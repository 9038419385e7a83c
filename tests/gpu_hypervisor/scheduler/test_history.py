"""What kernels took."""

import pytest

from gpu_hypervisor.scheduler.history import MOST_KERNELS, NEWER, History


def test_the_first_slice_is_believed_and_later_ones_count_more_than_older_ones():
    history = History()
    assert history.expect("k", 10) is None
    history.add("k", 10, 1000)
    assert history.expect("k", 5) == 500
    history.add("k", 1, 200)
    assert history.expect("k", 1) == pytest.approx(100 + NEWER * 100)
    for _ in range(50):
        history.add("k", 1, 300)
    assert history.expect("k", 1) == pytest.approx(300, rel=0.01)


def test_units_that_fit_a_budget():
    history = History()
    assert history.fit("new", 1000, 640) == 10 and history.fit("new", 1000, 3) == 1
    history.add("k", 1, 100)
    assert (history.fit("k", 1000, 640), history.fit("k", 10, 640), history.fit("k", 10**9, 640)) == (10, 1, 640)
    history.add("free", 10, 0)
    assert history.fit("free", 1000, 640) == 640


def test_a_slice_without_a_unit_teaches_nothing_and_old_kernels_are_forgotten():
    history = History()
    history.add("k", 0, 1000)
    assert history.expect("k", 1) is None
    for number in range(MOST_KERNELS + 1):
        history.add(str(number), 1, 1)
    assert history.expect("0", 1) is None and history.expect("1", 1) == 1
