"""QEMU's process: it dies with whoever started it, and all who wait for its end are told."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest
from support import is_running, wait_until

from qemu_bridge.daemon.backends.started import StartedQemu
from qemu_bridge.machine.config import MachineConfig, find_qemu

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


def test_who_waits_after_its_end_is_told_as_who_waited_before(tmp_path):
    config = MachineConfig("waited", memory=1 << 20, qemu_args=("-S",))
    qemu = StartedQemu(find_qemu(), config, tmp_path / "ram", tmp_path / "console.log")

    async def wait():
        first = [asyncio.ensure_future(qemu.wait()) for _ in range(2)]
        await asyncio.sleep(0)
        qemu.process.kill()
        await asyncio.gather(*first)
        await qemu.wait()

    with qemu.monitor_socket, qemu.agent_socket, qemu.errors_socket:
        asyncio.run(wait())
    assert qemu.exit_status == -signal.SIGKILL and qemu.describe_exit(asked=True) == "QEMU was killed by SIGKILL"
