"""Signals that end a program that draws: at any moment of its start, and while it draws."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import needs_display, wait_until


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@pytest.mark.window
@needs_display
@pytest.mark.parametrize("verb", ["view", "snap", "record-video"])
def test_at_whatever_moment_of_its_start_it_is_told_to_end_it_ends_without_a_word(machine, display, tmp_path, verb):
    words = [sys.executable, "-m", "qemu_bridge.cli", verb, machine.name]
    words += [] if verb == "view" else ["-o", str(tmp_path / "out")]
    for number, delay_s in enumerate((0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 2.5)):
        is_from_terminal = number % 2 == 0
        running = subprocess.Popen(
            words,
            env=os.environ | {"DISPLAY": display, "XDG_CONFIG_HOME": str(tmp_path)},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        wait_until(lambda running=running: children(running.pid))
        time.sleep(delay_s)  # a moment of its start: any will do
        told_s = time.monotonic()
        # A terminal signals the whole group, the process that draws too; others the verb alone.
        if is_from_terminal:
            os.killpg(running.pid, signal.SIGINT)
        else:
            running.terminate()
        _, talk = running.communicate(timeout=120)
        assert running.returncode == 130, (delay_s, talk)
        assert "Traceback" not in talk and "KeyboardInterrupt" not in talk and "panicked" not in talk
        assert time.monotonic() - told_s < 60
    # Of a video what was recorded until then is kept, whole.
    kept = {"out"} if verb == "record-video" else set()
    assert {path.name for path in tmp_path.iterdir()} <= {"glassbox", *kept}
