"""The daemon on a real QEMU: it stops, dies, is killed, and leaves nothing behind."""

import os
import signal
import threading
import time

import msgspec
import pytest
from support import booted, glassbox, is_running, shared_files, wait_until

from qemu_bridge.client import Client
from qemu_bridge.errors import MachineGoneError
from qemu_bridge.wire import connection
from qemu_bridge.wire.event_records import RunstateEvent

pytestmark = pytest.mark.guest

DAEMON_BYTES = 60 << 20
"""Of memory of its own: more guests than one share a host."""


def test_stop_leaves_nothing_behind(victim):
    qemu_pid = victim.status().qemu_pid
    assert shared_files("victim")
    victim.stop()
    assert not is_running(qemu_pid) and not shared_files("victim")
    assert [path.name for path in connection.runtime_folder().glob("victim*")] == []


def test_a_killed_daemon_leaves_no_qemu_and_no_file_after_the_next_command(victim):
    qemu_pid = victim.status().qemu_pid
    os.kill(victim.connection.daemon_pid, signal.SIGKILL)
    wait_until(lambda: not connection.is_alive("victim"))
    answer = glassbox("status")
    assert answer.returncode == 0, answer.stderr
    wait_until(lambda: not is_running(qemu_pid))
    assert not shared_files("victim") and not (connection.runtime_folder() / "victim.json").exists()
    assert "its daemon was killed" in glassbox("ps", "victim").stderr


def test_a_client_of_a_killed_daemon_is_told_and_does_not_hang(victim):
    os.kill(victim.connection.daemon_pid, signal.SIGKILL)
    started = time.monotonic()
    with pytest.raises(MachineGoneError, match="ended during the request"):
        victim.status()
    assert time.monotonic() - started < 30


def test_a_killed_qemu_is_an_event_and_an_exit_status(victim):
    seen = []

    def listen():
        with Client.connect("victim") as client:
            for event in client.events():
                seen.append(event)

    listener = threading.Thread(target=listen)
    listener.start()
    wait_until(lambda: seen)
    os.kill(victim.status().qemu_pid, signal.SIGKILL)
    listener.join(20)
    assert isinstance(seen[0], RunstateEvent)
    assert msgspec.to_builtins(seen[-1]) | {"time": 0} == {
        "event": "exited",
        "machine": "victim",
        "time": 0,
        "status": -9,
        "reason": "QEMU was killed by SIGKILL",
    }
    wait_until(lambda: not connection.is_alive("victim"))
    answer = glassbox("status", "victim")
    assert answer.returncode == 2 and "QEMU was killed by SIGKILL" in answer.stderr and "Traceback" not in answer.stderr
    assert not shared_files("victim")


def test_a_guest_that_powers_off_ends_the_machine_in_words(image):
    with booted("poweroff", image) as found:
        found.client.qmp("quit")
        wait_until(lambda: not connection.is_alive("poweroff"))
    assert connection.read_exit("poweroff") == "the guest powered off"


def test_ram_of_a_machine_killed_while_it_is_read_stays_readable(victim):
    view = victim.ram.pages()
    os.kill(victim.status().qemu_pid, signal.SIGKILL)
    wait_until(lambda: not connection.is_alive("victim"))
    assert view.sum() >= 0
    with pytest.raises(MachineGoneError):
        victim.ps()


def test_a_daemon_that_nobody_asks_about_ram_is_small_and_has_no_worker(victim):
    status = victim.status()
    with open(f"/proc/{status.daemon_pid}/maps") as maps:
        assert not any("numpy" in line for line in maps)
    with open(f"/proc/{status.daemon_pid}/task/{status.daemon_pid}/children") as children:
        assert children.read().split() == [str(status.qemu_pid)]
    assert 0 < status.daemon_bytes <= DAEMON_BYTES
    assert 0 < status.daemon_cpu_s < 60 and 0 < status.cpu_s < 60


def test_status_counts_the_epochs_that_clients_take(victim):
    assert (victim.status().epoch, victim.status().epochs_per_s) == (0, 0.0)
    for _ in range(3):
        epoch = victim.dirty().epoch
    found = victim.status()
    assert found.epoch == epoch and 0 < found.epochs_per_s <= 0.3
