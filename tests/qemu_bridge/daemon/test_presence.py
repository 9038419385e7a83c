"""A cleaner of temporary files empties the runtime folder: the machine is found again, and stopped."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from support import glassbox, wait_until

from qemu_bridge.client import Client
from qemu_bridge.errors import BusyNameError, UnknownMachineError
from qemu_bridge.machine import launch
from qemu_bridge.wire import connection


@pytest.fixture
def ram_image(tmp_path):
    path = tmp_path / "image"
    path.write_bytes(bytes(3 << 12))
    return path


def empty(name):
    """Remove all that the runtime folder has of a machine, as ``systemd-tmpfiles`` would."""
    for path in connection.runtime_folder().glob(f"{name}.*"):
        path.unlink()


def is_found(name):
    try:
        connection.find_connection(name)
    except UnknownMachineError:
        return False
    return True


def test_a_machine_whose_files_were_removed_is_found_again(ram_image):
    launch.attach("mine", ram=ram_image)
    with Client.connect("mine") as before:
        for _ in range(2):
            empty("mine")
            assert before.status().origin == "image"  # who is connected stays so
            wait_until(lambda: is_found("mine"))
            wait_until(lambda: Path(before.connection.control.removeprefix("ipc://")).exists())
            with Client.connect("mine") as after:
                assert after.status().daemon_pid == before.status().daemon_pid
            with pytest.raises(BusyNameError):
                launch.attach("mine", ram=ram_image)
    assert glassbox("stop", "mine").returncode == 0
    wait_until(lambda: not is_found("mine"))
    wait_until(lambda: not list(connection.runtime_folder().glob("mine.*")))


@pytest.mark.guest
def test_a_guest_whose_runtime_folder_was_emptied_can_be_stopped(victim):
    name, pid = victim.name, victim.connection.qemu_pid
    empty(name)
    wait_until(lambda: is_found(name))
    assert glassbox("stop", name).returncode == 0
    wait_until(lambda: not Path(f"/proc/{pid}").exists())


def test_a_name_that_another_has_taken_meanwhile_stays_with_it(ram_image):
    launch.attach("mine", ram=ram_image)
    with Client.connect("mine") as client:
        daemon = client.status().daemon_pid
    empty("mine")
    lock = connection.acquire_lock("mine")
    own = connection.runtime_folder() / "mine.json"
    own.write_text("of another")
    try:
        os.kill(daemon, signal.SIGTERM)
        wait_until(lambda: "qemu_bridge.daemon" not in subprocess.getoutput(f"ps -o args= -p {daemon}"))
        assert own.read_text() == "of another" and connection.holds_lock("mine", lock)
    finally:
        own.unlink()
        os.close(lock)
