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
PAUSED_SHARE, IDLE_SHARE = 0.01, 0.25
"""Shares of one core. Measured on two cores with the software driver: 0.001 and 0.05."""
PAUSED_S, IDLE_S = 1.5, 3.5
"""How long a share is measured: of an idle guest longer than it is between two looks at all of its memory (`sources.scan`)."""
SETTLED_S = 120.0
"""By then the last looks at memory are over, and whatever was said is gone, also on a busy host."""

pytestmark = [
    pytest.mark.guest,
    pytest.mark.window,
    needs_display,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("xdotool") is None, reason="xdotool is not installed"),
]


def cpu_s(pid):
    """Seconds of processor time of a process and of each of its children other than QEMU, by pid, dead threads included."""
    # The number of its clock, as clock_getcpuclockid has it: finer than /proc tells.
    found = {pid: time.clock_gettime(~pid << 3 | 2)}
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            if not Path(f"/proc/{child}/comm").read_text().startswith("qemu"):
                found |= cpu_s(child)
    return found


def share(pids, seconds):
    """Share of a core that the processes use, of the next `seconds`; one that ends meanwhile does not count, one that begins does."""
    before, since = [cpu_s(pid) for pid in pids], time.monotonic()
    time.sleep(seconds)
    after = [cpu_s(pid) for pid in pids]
    known = {pid: used for found in before for pid, used in found.items()}
    used = sum(now - known.get(pid, 0.0) for found in after for pid, now in found.items())
    return used / (time.monotonic() - since)


def settle(pids, most, seconds):
    """Return when the processes use no more than `most` of a core for `seconds`; fail where they never do."""
    deadline, shares = time.monotonic() + SETTLED_S, [share(pids, seconds)]
    while shares[-1] >= most:
        assert time.monotonic() < deadline, shares
        shares.append(share(pids, seconds))


def test_a_paused_guest_costs_nothing_and_an_idle_one_next_to_nothing(machine, display, tmp_path):
    environment = {**os.environ, "DISPLAY": display, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(tmp_path)}
    environment.pop("WAYLAND_DISPLAY", None)
    command = [sys.executable, "-m", "viewer", "view", machine.name, "--size", "640x360"]
    machine.client.pause()
    window = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        pids = [window.pid, machine.client.status().daemon_pid]
        at_rest = ["xdotool", "search", "--sync", "--name", f"Glass Box - {machine.name} - idle"]
        subprocess.run(at_rest, env=environment, check=True, timeout=200, stdout=subprocess.DEVNULL)
        settle(pids, PAUSED_SHARE, PAUSED_S)
        machine.client.resume()
        settle(pids, IDLE_SHARE, IDLE_S)
        assert window.poll() is None
    finally:
        machine.client.resume()
        window.kill()
        window.wait()
