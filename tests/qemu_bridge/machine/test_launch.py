"""Starting a machine, and what comes back when it does not start."""

import os
import re
import signal
import time
from pathlib import Path

import pytest
from support import glassbox, is_running, shared_files, wait_until

from qemu_bridge.client import Client
from qemu_bridge.errors import BusyNameError, MachineError, UsageError
from qemu_bridge.machine.config import MachineConfig
from qemu_bridge.machine.launch import attach, launch, waiting_daemon
from qemu_bridge.wire import connection

pytestmark = pytest.mark.guest


def test_a_new_machine_sweeps_up_after_a_killed_daemon_of_its_name(victim):
    os.kill(victim.connection.daemon_pid, signal.SIGKILL)
    old = shared_files("victim")
    launch(MachineConfig(name="victim", qemu_args=("-S",)))
    assert not set(old) & set(shared_files("victim"))


def test_a_name_is_used_once(victim):
    with pytest.raises(BusyNameError, match="glassbox stop victim"):
        launch(MachineConfig(name="victim"))
    assert victim.status().runstate == "prelaunch"


def test_arguments_that_qemu_refuses_come_back_in_its_own_words():
    with pytest.raises(MachineError, match=r"QEMU did not start: .*no-such-device"):
        launch(MachineConfig(name="refused", qemu_args=("-device", "no-such-device")))
    assert not shared_files("refused") and not connection.is_alive("refused")


def test_a_refused_start_leaves_the_log_of_the_running_machine_alone(victim):
    log = Path(victim.connection.log_path)
    with open(log, "a") as file:
        file.write("a line\n")
    with pytest.raises(BusyNameError):
        launch(MachineConfig(name="victim"))
    assert log.read_text().endswith("a line\n")


def test_the_page_map_file_is_ours_from_the_start(victim):
    status = os.stat(victim.connection.page_map_path)
    assert status.st_uid == os.getuid() and status.st_mode & 0o777 == 0o600


def test_a_daemon_that_is_given_no_machine_ends():
    with waiting_daemon() as daemon:
        pid = daemon.pid
    wait_until(lambda: not is_running(pid))


def test_a_machine_without_a_kernel_may_boot_from_what_the_arguments_bring():
    launch(MachineConfig(name="bare", memory=2 << 20, qemu_args=("-S",)))
    with Client.connect("bare") as client:
        assert client.status().ram_bytes == 2 << 20
        client.stop()


@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_the_layout_of_a_guest_beyond_four_gib_is_qemus_own(machine):
    # 4.5 GiB, of which nothing is touched but what firmware needs.
    launch(MachineConfig(name="big", memory=9 << 29, machine=machine, qemu_args=("-S",)))
    with Client.connect("big") as client:
        regions = client.ram.layout.regions
        assert len(regions) == 2 and regions[1].start == 4 << 30
        assert client.ram.read_u64(regions[1].start) == 0
        assert client.status().touched_bytes < 64 << 20
        client.stop()


def test_qemu_sleeps_while_its_guest_idles(machine):
    status = Path(f"/proc/{machine.client.status().qemu_pid}/status")

    def wakings():
        return int(re.findall(r"^voluntary_ctxt_switches:\s+(\d+)", status.read_text(), re.MULTILINE)[0])

    def is_asleep():
        before = wakings()
        time.sleep(0.5)
        return wakings() - before < 50

    wait_until(is_asleep)


def test_the_name_of_a_running_machine_is_refused(victim, tmp_path):
    image = tmp_path / "image"
    image.write_bytes(bytes(4096))
    with pytest.raises(BusyNameError, match="'victim' runs already"):
        attach("victim", ram=image)
    assert victim.status().name == "victim"


def test_one_of_the_two_sources_must_be_named(tmp_path):
    for arguments in ({}, {"qmp": tmp_path, "ram": tmp_path}):
        with pytest.raises(UsageError, match=r"--qmp or a RAM image with --ram"):
            attach("mine", **arguments)
    assert glassbox("attach", "mine").returncode == 2


def test_relative_paths_of_the_environment_are_meant_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GLASSBOX_OVERLAYS", "mine.py")
    monkeypatch.setenv("GLASSBOX_SYMBOL_CACHE", "../symbols")
    with waiting_daemon() as daemon:
        environment = Path(f"/proc/{daemon.pid}/environ")
        # Linux shows an empty environment until it has laid out the new program's stack.
        wait_until(environment.read_bytes)
        text = environment.read_bytes().split(b"\0")
    assert f"GLASSBOX_OVERLAYS={tmp_path}/mine.py".encode() in text
    assert f"GLASSBOX_SYMBOL_CACHE={tmp_path.parent}/symbols".encode() in text
