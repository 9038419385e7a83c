"""The switch's process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from network_samples import on_network
from support import is_running, wait_until

from qemu_bridge.network.place import networks_folder
from qemu_bridge.network.watch import read_status


def test_a_second_switch_of_a_name_ends_at_once_and_harms_nothing():
    with on_network("second", "a"):
        pid = read_status("second").pid
        assert (
            subprocess.run([sys.executable, "-m", "qemu_bridge.network", "second"], timeout=60, check=False).returncode
            == 0
        )
        assert read_status("second").pid == pid and len(read_status("second").ports) == 1


def test_a_switch_that_is_told_to_end_leaves_no_file():
    with on_network("told", "a") as (a,):
        pid = read_status("told").pid
        os.kill(pid, signal.SIGTERM)
        assert not a.socket.recv(1)
        wait_until(lambda: not is_running(pid))
        assert not list(networks_folder().glob("told.*"))
