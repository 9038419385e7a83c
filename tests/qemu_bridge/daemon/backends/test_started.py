"""QEMU's process: it dies with whoever started it."""

import os
import signal
import subprocess
import sys

import pytest
from support import is_running, wait_until

pytestmark = pytest.mark.guest

PROGRAM = """
import sys, time
from pathlib import Path
from qemu_bridge.daemon.backends.started import StartedQemu
from qemu_bridge.machine.config import MachineConfig, find_qemu
folder = Path(sys.argv[1])
qemu = StartedQemu(find_qemu(), MachineConfig("orphan", memory=1 << 20, qemu_args=("-S",)), folder / "ram", folder / "console.log")
print(qemu.process.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_qemu_does_not_outlive_its_parent(number, tmp_path):
    parent = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    with parent, parent.stdout:
        pid = int(parent.stdout.readline())
        wait_until(lambda: (tmp_path / "ram").exists())
        assert is_running(pid)
        os.kill(parent.pid, number)
    wait_until(lambda: not is_running(pid))
