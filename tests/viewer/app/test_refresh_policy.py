"""A guest that writes the same pages over and over is drawn less and less often; new activity is drawn at once."""

from __future__ import annotations

import numpy as np

from viewer.app.refresh_policy import FORGET_S, LONGEST_S, NEW_PAGES, RefreshPolicy


def slow_down(policy):
    pauses = [policy.pause_s(0.03) for _ in range(40)]
    assert pauses == sorted(pauses) and pauses[0] == 0.06 and pauses[-1] == LONGEST_S
    assert policy.is_slow


def test_pauses_grow_until_somebody_looks_on():
    policy = RefreshPolicy()
    slow_down(policy)
    policy.reset()
    assert not policy.is_slow
    assert policy.pause_s(0.03) == 0.06


def test_the_guest_gets_two_thirds_of_the_time_of_a_slow_driver():
    policy = RefreshPolicy()
    assert all(policy.pause_s(0.2) >= 0.4 for _ in range(20))
    assert policy.pause_s(10.0) == LONGEST_S


def test_pages_that_are_written_over_and_over_are_nothing_new():
    policy, now = RefreshPolicy(), 1000.0
    slow_down(policy)
    policy.note_writes(np.full(10 * NEW_PAGES, now - FORGET_S / 2), now)
    policy.note_writes(np.full(NEW_PAGES - 1, -np.inf), now)
    policy.note_writes(np.zeros(0), now)
    assert policy.is_slow
    policy.note_writes(np.full(NEW_PAGES, now - 2 * FORGET_S), now)
    assert not policy.is_slow


def test_a_rare_pass_is_a_larger_share_of_the_picture():
    shares = [RefreshPolicy().newest_weight(waited_s) for waited_s in (0.0, 0.1, 0.3, 1.0, 5.0)]
    assert shares == sorted(shares) and shares[0] == 1 / 8 and shares[-1] == 1 / 2
