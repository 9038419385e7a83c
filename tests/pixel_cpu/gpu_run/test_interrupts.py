"""Signals and the end of the time: at once outside of what is whole, at its end inside, and the second one at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from pixel_cpu.gpu_run.interrupts import TIMED_OUT, Interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_raised_at_once_and_gives_the_status(number):
    before = signal.getsignal(number)
    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert interrupts.status == 128 + number and signal.getsignal(number) is before


def test_what_is_whole_comes_to_its_end():
    done = []
    with Interrupts() as interrupts, pytest.raises(KeyboardInterrupt):
        with interrupts.whole():
            with interrupts.whole():
                os.kill(os.getpid(), signal.SIGINT)
                done.append(1)
            done.append(2)
        done.append(3)
    assert done == [1, 2] and interrupts.status == 130


def test_after_an_interrupt_the_rest_is_not_interrupted_again():
    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        with interrupts.whole():
            pass
    assert interrupts.status == 143


def test_what_c_code_has_cleared_is_raised_by_the_next_check():
    class Asked(type):
        def __getattr__(cls, name):
            if not interrupts.status:
                os.kill(os.getpid(), signal.SIGINT)
            raise AttributeError(name)

    class Operand(int, metaclass=Asked):
        pass

    with Interrupts() as interrupts:
        interrupts.check()
        # Numpy looks for an attribute of the type, and goes on without it whatever that raises.
        found = np.zeros(1) == Operand()
        assert found.all() and interrupts.status == 130
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()


def test_the_time_ends_a_wait():
    with Interrupts(0.05) as interrupts, pytest.raises(KeyboardInterrupt):
        signal.pause()
    assert interrupts.status == TIMED_OUT
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_the_second_signal_ends_the_process():
    program = (
        "import os, signal\nfrom pixel_cpu.gpu_run.interrupts import Interrupts\n"
        "with Interrupts() as interrupts, interrupts.whole():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n    print('on', flush=True)\n    os.kill(os.getpid(), signal.SIGTERM)\n    print('not')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (143, "on\n", "")


def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            os.kill(os.getpid(), signal.SIGHUP)
        assert not interrupts.status and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
