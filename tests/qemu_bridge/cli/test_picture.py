"""Verbs that draw: what is handed to the viewer, and how its end is ours. What is drawn: tests/viewer."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading

import pytest
from PIL import Image
from support import glassbox

from qemu_bridge.cli import picture
from qemu_bridge.errors import BusyNameError
from qemu_bridge.wire import connection


@pytest.mark.parametrize("folder", ["/etc/passwd", "/proc/x"])
def test_run_needs_a_folder_before_it_boots(folder):
    answer = glassbox("run", "--no-window", "-o", folder)
    assert answer.returncode == 1 and folder in answer.stderr and len(answer.stderr.splitlines()) == 1


@pytest.fixture
def handed_over(monkeypatch):
    """The words that the viewer would have been started with."""
    words = []
    monkeypatch.setattr(picture, "_viewer", lambda given: words.append(given) or 0)
    return words


@pytest.mark.parametrize("verb", ["snap", "view", "record-video"])
@pytest.mark.parametrize("flag", ["--at", "--camera"])
def test_an_older_flag_does_what_the_newer_does(verb, flag, handed_over, command):
    output = () if verb == "view" else ("-o", "x")
    assert command(verb, "demo", *output, flag, "yaw=35").status == 0
    (words,) = handed_over
    assert words[:2] == [verb, "demo"] and "--at=yaw=35" in words


@pytest.mark.parametrize("verb", ["snap", "view", "record-video"])
def test_help_says_which_flag_is_the_older(verb, command):
    told = " ".join(command(verb, "--help").out.split())
    # Python 3.13 says a metavariable once.
    assert re.search("--at( TEXT)?, --camera TEXT", told) and "--camera is the old spelling" in told


def test_options_reach_the_viewer_as_they_were_given(handed_over, command):
    command("snap", "demo", "-o", "a b.png", "--size", "64x48", "--order", "7", "--json")
    assert handed_over[0][2:] == ["--output=a b.png", "--size=64x48", "--order=7", "--json"]


@pytest.fixture
def stand_in(monkeypatch):
    """A function that sets the program that stands for the viewer."""
    real = picture.subprocess.Popen

    def set_program(program):
        monkeypatch.setattr(picture.subprocess, "Popen", lambda words: real([sys.executable, "-c", program]))

    return set_program


@pytest.mark.parametrize(
    ("program", "status"), [("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137)]
)
def test_the_viewers_exit_status_is_ours_and_a_signal_is_one_as_shells_say_it(program, status, stand_in):
    stand_in(program)
    assert picture._viewer(["snap", "demo"]) == status


@pytest.mark.parametrize("is_background_job", [False, True])
@pytest.mark.parametrize("takes_notice", [False, True])
def test_a_signal_is_passed_on_and_what_handled_it_before_does_so_again(stand_in, takes_notice, is_background_job):
    # As the viewer does: signals wait until the child has said what they do.
    begin = (
        "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(130))\n" if takes_notice else ""
    )
    stand_in(
        f"{begin}import signal, time\nsignal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])\ntime.sleep(30)"
    )
    before, interrupts = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    if is_background_job:
        # As a shell without job control starts one with "&".
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    timer = threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGTERM))
    timer.start()
    assert picture._viewer(["view", "demo"]) == 130
    assert signal.getsignal(signal.SIGTERM) is before
    timer.join()
    signal.signal(signal.SIGINT, interrupts)


def test_a_demo_has_the_first_free_name(monkeypatch):
    class Found:
        def __init__(self, name):
            self.name = name

    taken = []
    monkeypatch.setattr(connection, "iter_connections", lambda: iter(taken))
    assert picture._free_name() == "demo"
    taken += [Found("demo"), Found("demo-2"), Found("other")]
    assert picture._free_name() == "demo-3"
    taken += [Found(f"demo-{number}") for number in range(3, 101)]
    with pytest.raises(BusyNameError, match="glassbox stop"):
        picture._free_name()


@pytest.mark.guest
def test_the_older_flag_draws(machine, tmp_path):
    path = tmp_path / "x.png"
    answer = glassbox("snap", machine.name, "-o", str(path), "--size", "64x48", "--camera", "yaw=10,pitch=20")
    assert answer.returncode == 0, answer.stderr
    with Image.open(path) as drawn:
        assert drawn.size == (64, 48)
