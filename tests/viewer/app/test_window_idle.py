"""What watching costs when there is nothing to see: processor time of window, daemon and worker, by the host's own clocks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import needs_display

ROOT = Path(__file__).resolve().parents[3]
MEASURED_S = 5.0
PAUSED_SHARE, IDLE_SHARE = 0.01, 0.25
"""Shares of one core. Measured on two cores with the software driver: 0.001 and 0.05."""

pytestmark = [
    pytest.mark.guest,
    pytest.mark.window,
    needs_display,
    pytest.mark.skipif(shutil.which("xdotool") is None, reason="xdotool is not installed"),
]


def cpu_s(pid):
    """Seconds of processor time of a process and of its children other than QEMU, dead threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
    children = [int(word) for path in Path(f"/proc/{pid}/task").glob("*/children") for word in path.read_text().split()]
    return own + sum(
        cpu_s(child) for child in children if not Path(f"/proc/{child}/comm").read_text().startswith("qemu")
    )


def share(pids):
    """Share of a core that the processes use, of the next seconds."""
    before, since = sum(map(cpu_s, pids)), time.monotonic()
    time.sleep(MEASURED_S)
    return (sum(map(cpu_s, pids)) - before) / (time.monotonic() - since)


def test_a_paused_guest_costs_nothing_and_an_idle_one_next_to_nothing(machine, display, tmp_path):
    environment = {**os.environ, "DISPLAY": display, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(tmp_path)}
    environment.pop("WAYLAND_DISPLAY", None)
    command = [sys.executable, "-m", "viewer", "view", machine.name, "--size", "640x360"]
    machine.client.pause()
    window = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        pids = [window.pid, machine.client.status().daemon_pid]
        at_rest = ["xdotool", "search", "--sync", "--name", f"Glass Box - {machine.name} - idle"]
        subprocess.run(at_rest, env=environment, check=True, timeout=60, stdout=subprocess.DEVNULL)
        time.sleep(8)  # for the last looks at memory, and whatever was said
        assert share(pids) < PAUSED_SHARE
        machine.client.resume()
        time.sleep(10)
        assert share(pids) < IDLE_SHARE
        assert window.poll() is None
    finally:
        machine.client.resume()
        window.kill()
        window.wait()
