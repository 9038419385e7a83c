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


class House:
    """Folders of its own for the machine, so that whatever is left in them is left by it."""

    def __init__(self, folder: Path) -> None:
        self.folders = {name: folder / name for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "GLASSBOX_RAM_DIR")}
        for path in self.folders.values():
            path.mkdir(mode=0o700)
        self.environment = {name: str(path) for name, path in self.folders.items()}
        self._mark = f"XDG_RUNTIME_DIR={self.folders['XDG_RUNTIME_DIR']}\0".encode()

    def processes(self) -> dict[int, str]:
        """Command line of each process that was started in these folders, by number."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, IndexError):
                state = (path / "stat").read_text().rpartition(")")[2].split()[0]
                if self._mark in (path / "environ").read_bytes() + b"\0" and state not in "ZX":
                    found[int(path.name)] = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def pids_of(self, victim: str) -> list[int]:
        """The processes that are `victim`."""
        return [
            pid
            for pid, line in self.processes().items()
            if VICTIMS[victim] in line.split(" -", 2)[0 if victim == "qemu" else 1]
        ]

    def files(self) -> list[str]:
        """What is left of the machine; its logs stay until the next machine of that name."""
        folders = (self.folders["XDG_RUNTIME_DIR"], self.folders["GLASSBOX_RAM_DIR"])
        return [str(path) for folder in folders for path in folder.rglob("*") if not path.is_dir()]


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
    for pid in house.pids_of(victim):
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
