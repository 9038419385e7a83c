"""Requests that are being answered: how many one client may have, and that none is left over."""

import contextlib

from qemu_bridge.daemon.unanswered import MOST_UNANSWERED, MOST_UNANSWERED_BYTES, Unanswered


def test_a_client_with_too_many_requests_is_refused_and_others_are_not():
    unanswered = Unanswered()
    with contextlib.ExitStack() as greedy:
        assert all(greedy.enter_context(unanswered.counted(b"greedy", 9)) is None for _ in range(MOST_UNANSWERED))
        with unanswered.counted(b"greedy", 9) as refusal, unanswered.counted(b"modest", 9) as accepted:
            assert "1024 requests of this client are unanswered" in str(refusal) and accepted is None
        assert len(unanswered) == 1
    with unanswered.counted(b"greedy", 9) as accepted:
        assert accepted is None
    assert len(unanswered) == 0


def test_a_client_with_too_long_requests_is_refused_but_not_its_only_one():
    unanswered = Unanswered()
    with unanswered.counted(b"a", 2 * MOST_UNANSWERED_BYTES) as first, unanswered.counted(b"a", 1) as second:
        assert first is None and "64 MiB are unanswered" in str(second)
    half = MOST_UNANSWERED_BYTES // 2
    with unanswered.counted(b"a", half) as first, unanswered.counted(b"a", half) as second:
        assert first is None and second is None
    assert len(unanswered) == 0
