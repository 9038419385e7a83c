"""Small or missing shared memory, as in containers: what is said, and that the advised way out works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from support import wait_until

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--user", "--map-root-user", "--mount")
SMALL = "mount -t tmpfs -o size=64m tmpfs /dev/shm"
MISSING = """
devices=$1/dev; mkdir -p $devices; mount -t tmpfs tmpfs $devices
for name in null zero full random urandom tty; do : > $devices/$name; mount --bind /dev/$name $devices/$name; done
ln -s /proc/self/fd $devices/fd
mount --rbind $devices /dev
"""
"""A /dev of devices alone."""


def may_unshare() -> bool:
    try:
        return not subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "t", "/mnt"], capture_output=True).returncode
    except OSError:
        return False


pytestmark = pytest.mark.skipif(not may_unshare(), reason="no mount namespace of its own is permitted here")


@pytest.fixture
def inside(tmp_path):
    """A function that runs a program where `mounts` have been made, which nobody else sees; its folders are its own."""

    # Short, because a socket's path is limited.
    runtime = Path(tempfile.mkdtemp(prefix="gb-"))

    def run(mounts, *words, folder=None, **environment):
        own = {"XDG_RUNTIME_DIR": str(runtime), "XDG_STATE_HOME": str(tmp_path / "state")}
        kept = {name: value for name, value in os.environ.items() if name != "GLASSBOX_RAM_DIR"}
        return subprocess.run(
            [*NAMESPACE, "sh", "-ec", f'{mounts}\nshift; exec "$@"', "sh", tmp_path, *words],
            capture_output=True,
            text=True,
            timeout=600,
            cwd=folder,
            env=kept | own | environment,
            check=False,
        )

    yield run
    shutil.rmtree(runtime)


GLASSBOX = (sys.executable, "-m", "qemu_bridge.cli")


@pytest.mark.parametrize(
    ("mounts", "hints"),
    [(SMALL, ("64 MiB", "--shm-size", "GLASSBOX_RAM_DIR")), (MISSING, ("mount a tmpfs", "GLASSBOX_RAM_DIR"))],
    ids=["small", "missing"],
)
def test_a_start_and_doctor_say_what_to_do(mounts, hints, inside, image):
    start = inside(mounts, *GLASSBOX, "start", "tight", "--kernel", image.kernel, "--initrd", image.initrd)
    assert start.returncode == 1 and len(start.stderr.splitlines()) == 1, start
    doctor = inside(mounts, *GLASSBOX, "doctor")
    (line,) = [line for line in doctor.stdout.splitlines() if "shared memory" in line]
    assert doctor.returncode == 1 and line.startswith("FAIL"), doctor
    assert all(hint in text for hint in hints for text in (start.stderr, line)), (start.stderr, line)


@pytest.mark.parametrize(
    ("mounts", "hints"),
    [
        (SMALL, ("64 MB free", "--shm-size=2g", "GLASSBOX_RAM_DIR")),
        (MISSING, ("there is no /dev/shm", "GLASSBOX_RAM_DIR")),
    ],
    ids=["small", "missing"],
)
def test_bootstrap_says_so_before_it_goes_on(mounts, hints, inside, tmp_path):
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in ("bootstrap", "justfile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, checkout)
    # It ends at Python's packages, which it looks for next.
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": ""}
    answer = inside(mounts, checkout / "bootstrap", "run", folder=checkout, PIP_CONFIG_FILE=os.devnull, **nowhere)
    first = answer.stderr.splitlines()[0]
    assert answer.returncode == 1 and all(hint in first for hint in hints), answer.stderr
    assert "Python's packages could not be installed" in answer.stderr


WORK = """
set -e
glassbox() { "$PYTHON" -m qemu_bridge.cli "$@"; }
glassbox start tight --kernel "$1" --initrd "$2" --append console=ttyS0 --wait
glassbox ps tight | grep -q init
glassbox trace tight -o "$3/trace.gbt" --seconds 0.2
glassbox capture tight -o "$3/capture"
glassbox compare "$3/capture" tight >/dev/null || [ $? = 1 ]
glassbox snap tight -o "$3/tight.png" --size 320x200
glassbox exec tight uname
glassbox stop tight
"""


@pytest.mark.long
def test_without_shared_memory_the_advised_folder_is_enough_for_everything(inside, image, tmp_path):
    ram = tmp_path / "ram"
    ram.mkdir()
    done = inside(
        MISSING,
        *("sh", "-c", WORK, "sh", image.kernel, image.initrd, tmp_path),
        GLASSBOX_RAM_DIR=str(ram),
        PYTHON=sys.executable,
    )
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "Linux", done.stderr
    # A capture's daemon ends some seconds after its last client.
    wait_until(lambda: not list(ram.iterdir()))
    assert (tmp_path / "tight.png").stat().st_size
