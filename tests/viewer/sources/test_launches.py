"""Launches of another process, heard by a window's thread."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from support import wait_until

from pixel_cpu.runtime.events import LaunchEvent
from qemu_bridge.host.folders import runtime_folder
from viewer.sources.launches import KEPT, LaunchList, LaunchWatch

PROGRAM = """
import numpy as np
import pixel_cpu as px
from pixel_cpu.kernels import source
kernel = px.loads(source("saxpy")).kernel()
x, y = np.ones(100, "f4"), np.ones(100, "f4")
with px.Device("reference", isolated=False) as device:
    for _ in range(3):
        kernel.launch(100, a=2.0, x=x, y=y, device=device)
"""


def event(number, pid=7):
    return LaunchEvent(pid, "p", number, "cpu", "k", 32, 32, float(number), {}, ())


@pytest.fixture
def runtime(monkeypatch):
    """A runtime folder in which nobody else listens; a short one, as a socket's path is limited."""
    with tempfile.TemporaryDirectory(prefix="gb-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


def test_launches_of_another_process_are_listed_newest_first(runtime):
    launches, woken = LaunchList(), threading.Event()
    watch = LaunchWatch(launches, woken.set)
    watch.start()
    try:
        folder = runtime_folder() / "launches"
        wait_until(lambda: folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir()))
        subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=120)
        wait_until(lambda: launches.seen == 3)
        assert woken.wait(60)
        assert [found.number for found in launches.events] == [3, 2, 1] and launches.lost == 0
        assert launches.shown().kernel == "saxpy" and not launches.problem
    finally:
        watch.stop()
    assert list(folder.iterdir()) == []


def test_where_nothing_can_be_heard_the_list_says_why(runtime):
    (runtime / "glassbox").symlink_to(runtime)
    launches = LaunchList()
    watch = LaunchWatch(launches, lambda: None)
    watch.start()
    wait_until(lambda: launches.problem)
    assert "is not a folder of yours" in launches.problem
    watch.stop()


def test_a_watch_that_never_started_stops():
    LaunchWatch(LaunchList(), lambda: None).stop()


def test_the_chosen_launch_shows_while_it_is_kept():
    launches = LaunchList()
    assert launches.shown() is None
    launches.add([event(1), event(2)])
    assert launches.shown().number == 2
    launches.chosen = (7, 1)
    launches.add([event(3)], lost=4)
    assert launches.shown().number == 1 and (launches.seen, launches.lost) == (3, 4)
    launches.add([event(number) for number in range(4, KEPT + 4)])
    assert launches.shown().number == KEPT + 3 and len(launches.events) == KEPT
    launches.clear()
    assert launches.shown() is None and launches.chosen is None and launches.seen == 0
