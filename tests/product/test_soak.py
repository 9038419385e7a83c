"""Guests, two scripts, a viewer and captures for a while: nothing is left behind, and nothing grows."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import pytest
from house import House, kill_all
from support import glassbox, needs_display, virtual_display, wait_until

from qemu_bridge.client import Client

pytestmark = [pytest.mark.guest, pytest.mark.timeout(1800), needs_display]

ASKING = """
import itertools, signal, sys, time
from qemu_bridge.client import Client

over, pause_s, names = [], float(sys.argv[1]), sys.argv[2:]
signal.signal(signal.SIGTERM, lambda *_: over.append(True))
clients = [Client.connect(name) for name in names]
for rounds in itertools.count(1):
    for client in clients:
        names = {process.name for process in client.ps().value}
        assert "init" in names or "busybox" in names, names
        assert client.page_map().value.entries.size == client.ram.size >> 12
        client.identify(hex(4096 * (rounds % 20000)))
        client.resolve("pid:1")
        client.dirty()
        (content,) = client.read_memory([(4096 * rounds % client.ram.size, 64)]).value
        assert len(content) == 64
    if over:
        print(rounds)
        break
    time.sleep(pause_s)
"""
WATCHING = """
import signal, sys, threading
from qemu_bridge.client import Client

over, seen, pause_s, names = threading.Event(), [], float(sys.argv[1]), sys.argv[2:]
signal.signal(signal.SIGTERM, lambda *_: over.set())

def watch(name):
    with Client.connect(name) as client:
        for event in client.events(is_over=over.is_set):
            seen.append(type(event).__name__)
            del seen[:-1000]

threads = [threading.Thread(target=watch, args=[name]) for name in names]
for thread in threads:
    thread.start()
rounds = 0
while not over.is_set():
    for name in names:
        with Client.connect(name) as client:
            assert b"ok" in client.exec("echo ok").output
            client.pause()
            client.resume()
        rounds += 1
        over.wait(pause_s)
for thread in threads:
    thread.join()
assert "RunstateEvent" in seen, seen[-10:]
print(rounds)
"""


@contextlib.contextmanager
def in_house(folder: Path):
    """A house in `folder`; whatever still runs in it after a failure is ended."""
    house = House(folder)
    try:
        yield house
    finally:
        kill_all(house.folders["XDG_RUNTIME_DIR"])


def used(house: House) -> dict[int, tuple[str, int, int]]:
    """Command line, descriptors, and bytes of memory of its own of each process of `house`; QEMU's is what it translates."""
    found = {}
    for pid, line in house.processes().items():
        with contextlib.suppress(OSError, StopIteration):
            status = Path(f"/proc/{pid}/status").read_text().splitlines()
            own = next(int(row.split()[1]) << 10 for row in status if row.startswith("RssAnon"))
            found[pid] = line, len(os.listdir(f"/proc/{pid}/fd")), 0 if "qemu-system" in line else own
    return found


def grown(before, after, most_bytes: int) -> list[str]:
    """What has more descriptors or more memory than before; a request that is being served has a few."""
    return [
        f"{line[:100]}: {first_files} to {files} descriptors, {first >> 10} to {now >> 10} KiB"
        for pid, (line, files, now) in after.items()
        if pid in before
        for _, first_files, first in [before[pid]]
        if files > first_files + 8 or now > first + most_bytes
    ]


@contextlib.contextmanager
def running(house, *words, **environment):
    """A program beside the guests, that SIGTERM ends with status 0."""
    command = [sys.executable, *words]
    with subprocess.Popen(
        command, env=os.environ | house.environment | environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
            assert process.poll() is None, f"{words[:4]} ended by itself with {process.returncode}"
            process.send_signal(signal.SIGTERM)
            process.output, _ = process.communicate(timeout=120)
        finally:
            process.kill()  # nothing, where it has ended


def capture_until(deadline: float, house: House, names: list[str], folder: Path) -> tuple[int, dict]:
    """Capture one guest after the other until `deadline`; returns how many captures were whole, and the most that was used meanwhile.

    The most, as memory of a program goes up and down as it works: a viewer that draws holds a picture's arrays for a moment.
    """
    count, most = 0, {}
    while time.monotonic() < deadline:
        for pid, (line, files, own) in used(house).items():
            _, most_files, most_own = most.get(pid, (line, 0, 0))
            most[pid] = line, max(files, most_files), max(own, most_own)
        target = folder / f"capture-{count}"
        answer = glassbox("capture", names[count % len(names)], "-o", str(target), **house.environment)
        assert answer.returncode == 0, answer.stderr
        answer = glassbox("ps", str(target), **house.environment)
        assert answer.returncode == 0 and "init" in answer.stdout, answer.stderr
        shutil.rmtree(target)
        count += 1
    return count, most


def wait_for_window(house: House, name: str, viewer: subprocess.Popen) -> None:
    """Return when `viewer` is open on a machine of `house`; fail where it ends by itself."""

    def is_open():
        assert viewer.poll() is None, "the viewer ended by itself"
        return len(client.viewers()) == 1

    with mock.patch.dict(os.environ, house.environment), Client.connect(name) as client:
        # A window is ten seconds of work; beside all that a busy host has to do it waits for its turn.
        wait_until(is_open, timeout_s=600)


# In seconds a viewer has not yet loaded all that it draws; the long run begins to count when it has. In the short run scripts pause
# between their rounds: there they are to be there, not to slow the rest down.
@pytest.mark.parametrize(
    ("guests", "seconds", "pause_s", "most_mib"),
    [(2, 2, 0.2, 256), pytest.param(4, 600, 0, 16, marks=pytest.mark.long)],
)
def test_guests_scripts_a_viewer_and_captures_leave_nothing_and_grow_nothing(image, guests, seconds, pause_s, most_mib):
    with (
        tempfile.TemporaryDirectory(prefix="gb-", dir="/dev/shm") as folder,
        virtual_display("800x600") as display,
        in_house(Path(folder)) as house,
    ):
        start = ("start", "soak", "--count", str(guests), "--memory", "96M", "--wait")
        answer = glassbox(
            *start, "--kernel", str(image.kernel), "--initrd", str(image.initrd), timeout=400, **house.environment
        )
        names = answer.stdout.split()
        assert answer.returncode == 0 and len(names) == guests, answer.stderr
        with contextlib.ExitStack() as stack:
            viewer = stack.enter_context(running(house, "-m", "qemu_bridge.cli", "view", names[0], DISPLAY=display))
            wait_for_window(house, names[0], viewer)
            asking, watching = (
                stack.enter_context(running(house, "-c", script, str(pause_s), *names)) for script in (ASKING, WATCHING)
            )
            # A quarter is for all that is loaded once, the last two are compared.
            quarters = [capture_until(time.monotonic() + seconds / 4, house, names, Path(folder)) for _ in range(4)]
        assert sum(count for count, _ in quarters) >= 2 and int(asking.output) >= 2 and int(watching.output) >= guests
        assert viewer.returncode == 130
        for name in names:
            status = glassbox("status", name, **house.environment).stdout
            assert "runstate        running" in status, status
            assert glassbox("stop", name, **house.environment).returncode == 0
        wait_until(lambda: not house.processes())
        assert not house.files()
        assert not grown(quarters[1][1], quarters[3][1], most_mib << 20)
