"""Signals that end a program are noted, in a context."""

from __future__ import annotations

import signal
import threading

from qemu_bridge.host.interrupts import noted_interrupts


def test_a_signal_is_noted_and_what_handled_it_before_does_so_again():
    before = signal.getsignal(signal.SIGTERM)
    with noted_interrupts() as is_interrupted:
        assert not is_interrupted()
        signal.raise_signal(signal.SIGTERM)
        assert is_interrupted()
    assert signal.getsignal(signal.SIGTERM) is before


def test_another_thread_notes_nothing_and_changes_nothing():
    told = []

    def draw():
        with noted_interrupts() as is_interrupted:
            told.append(is_interrupted())

    thread = threading.Thread(target=draw)
    thread.start()
    thread.join()
    assert told == [False]
