"""``kill -9`` of any process at any moment: no process, no file and no paused guest is left behind."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from house import House
from support import glassbox, wait_until

pytestmark = [pytest.mark.guest, pytest.mark.timeout(3600)]

NAME = "mortal"
OPERATIONS = {
    "start": ("status", NAME),
    "ps": ("ps", NAME),
    "capture": ("capture", NAME, "-o", "capture"),
    "trace": ("trace", NAME, "-o", "demo.gbt", "--seconds", "3"),
    "snap": ("snap", NAME, "-o", "demo.png", "--size", "320x200"),
    "stop": ("stop", NAME),
}
VICTIMS = {
    "daemon": "qemu_bridge.daemon",
    "qemu": "qemu-system",
    "worker": "qemu_bridge.daemon.worker_process",
    "job": "qemu_bridge.daemon.job_process",
    "client": "qemu_bridge.cli",
}


def pids_of(house: House, victim: str) -> list[int]:
    """The processes that are `victim`."""
    return [
        pid
        for pid, line in house.processes().items()
        if VICTIMS[victim] in line.split(" -", 2)[0 if victim == "qemu" else 1]
    ]


def semaphores() -> set[str]:
    return {path.name for path in Path("/dev/shm").glob("sem.*")}


@pytest.mark.parametrize("kills", [6, pytest.param(200, marks=pytest.mark.long)])
def test_a_kill_at_any_moment_leaves_nothing(image, kills):
    dice, before = random.Random(kills), semaphores()
    with tempfile.TemporaryDirectory(prefix="gb-", dir="/dev/shm") as folder:
        house = House(Path(folder))
        for number in range(kills):
            operation = dice.choice(list(OPERATIONS))
            kill_during(
                house, operation, dice.choice(list(VICTIMS)), dice.uniform(0.0, 3.0), Path(folder) / f"out{number}"
            )
    assert semaphores() <= before


def kill_during(house: House, operation: str, victim: str, delay_s: float, output: Path) -> None:
    context = f"{victim} killed {delay_s:.2f} s into {operation}"
    output.mkdir()
    run = [sys.executable, "-m", "qemu_bridge.cli"]
    environment = os.environ | house.environment
    if operation != "start":
        subprocess.run([*run, "start", NAME], env=environment, check=True, timeout=120, stdout=subprocess.DEVNULL)
    words = ("start", NAME, "--wait") if operation == "start" else OPERATIONS[operation]
    client = subprocess.Popen(
        [*run, *words], env=environment, cwd=output, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    # A moment, not a condition: this is what is random.
    time.sleep(delay_s)
    for pid in pids_of(house, victim):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert client.wait(120) in (0, 1, 2, -signal.SIGKILL), context
    answer = glassbox("status", NAME, **house.environment)
    if answer.returncode == 0:
        # Only what serves the machine may be there; the guest runs, answers, and can be stopped.
        wait_until(lambda: "runstate        running" in glassbox("status", NAME, **house.environment).stdout)
        assert glassbox("ps", NAME, **house.environment).returncode in (0, 1), context
        assert glassbox("stop", NAME, **house.environment).returncode == 0, context
    wait_until(lambda: not house.processes())
    glassbox("status", **house.environment)
    assert not house.files(), context
    drafts = [path.name for path in output.iterdir() if path.name.startswith(".")]
    assert not drafts, context
    shutil.rmtree(output)
