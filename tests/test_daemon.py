"""The daemon on a real QEMU: lifecycle, events, sudden deaths, nonsense on the socket."""

import contextlib
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
import zmq
from support import booted, glassbox

from qemu_bridge import connection
from qemu_bridge.client import Client
from qemu_bridge.errors import BusyNameError, MachineError, MachineGoneError, UsageError
from qemu_bridge.launch import launch
from qemu_bridge.machine import MachineConfig

pytestmark = pytest.mark.guest


def shared_files(name):
    return list(connection.ram_folder().glob(f"{connection.shared_prefix()}{name}-*"))


def wait_until(condition, timeout_s=20.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def is_running(pid):
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.fixture
def victim(image):
    """A machine that a test may kill: QEMU stands before its first instruction."""
    launch(
        MachineConfig(
            name="victim", kernel=image.kernel, initrd=image.initrd, append=image.command_line, qemu_args=("-S",)
        )
    )
    client = Client.connect("victim")
    yield client
    with contextlib.suppress(MachineError):
        if connection.is_alive("victim"):
            client.stop()
    client.close()
    connection.prune()


def test_stop_leaves_nothing_behind(victim):
    qemu_pid = victim.status()["qemu_pid"]
    assert shared_files("victim")
    victim.stop()
    assert not is_running(qemu_pid) and not shared_files("victim")
    assert [path.name for path in connection.runtime_folder().glob("victim*")] == ["victim.lock"]


def test_a_killed_daemon_leaves_no_qemu_and_no_file_after_the_next_command(victim):
    qemu_pid = victim.status()["qemu_pid"]
    os.kill(victim.connection.daemon_pid, signal.SIGKILL)
    wait_until(lambda: not connection.is_alive("victim"))
    answer = glassbox("status")
    assert answer.returncode == 0, answer.stderr
    wait_until(lambda: not is_running(qemu_pid))
    assert not shared_files("victim") and not (connection.runtime_folder() / "victim.json").exists()
    assert "its daemon was killed" in glassbox("ps", "victim").stderr


def test_a_new_machine_sweeps_up_after_a_killed_daemon_of_its_name(victim):
    os.kill(victim.connection.daemon_pid, signal.SIGKILL)
    old = shared_files("victim")
    launch(MachineConfig(name="victim", qemu_args=("-S",)))
    assert not set(old) & set(shared_files("victim"))


def test_a_client_of_a_killed_daemon_is_told_and_does_not_hang(victim):
    os.kill(victim.connection.daemon_pid, signal.SIGKILL)
    started = time.monotonic()
    with pytest.raises(MachineGoneError, match="ended while it was asked"):
        victim.status()
    assert time.monotonic() - started < 5


def test_a_killed_qemu_is_an_event_and_an_exit_status(victim):
    seen = []

    def listen():
        with Client.connect("victim") as client:
            for event in client.events():
                seen.append(event)

    listener = threading.Thread(target=listen)
    listener.start()
    wait_until(lambda: seen)
    os.kill(victim.status()["qemu_pid"], signal.SIGKILL)
    listener.join(20)
    assert seen[0]["event"] == "runstate"
    assert seen[-1] | {"time": 0} == {
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


def test_a_name_is_used_once(victim):
    with pytest.raises(BusyNameError, match="glassbox stop victim"):
        launch(MachineConfig(name="victim"))
    assert victim.status()["runstate"] == "prelaunch"


def test_arguments_that_qemu_refuses_come_back_in_its_own_words():
    with pytest.raises(MachineError, match=r"QEMU did not start: .*no-such-device"):
        launch(MachineConfig(name="refused", qemu_args=("-device", "no-such-device")))
    assert not shared_files("refused") and not connection.is_alive("refused")


def test_pause_and_resume_are_broadcast(machine):
    events = Client.connect(machine.name)
    stream = events.events()
    assert next(stream)["runstate"] == "running"
    machine.client.pause()
    assert machine.client.status()["runstate"] == "paused"
    machine.client.resume()
    states = [event["runstate"] for event in (next(stream) for _ in range(4)) if event["event"] == "runstate"]
    assert states == ["paused", "running"]
    events.close()


def test_a_paused_guest_stands_still(machine):
    with machine.paused():
        before = machine.ram.read(0, 1 << 20)
        machine.client.dirty_pages()
        time.sleep(0.2)
        assert machine.client.dirty_pages(machine.client.dirty_pages()[1])[0] == []
        assert machine.ram.read(0, 1 << 20) == before


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{",
        b"[]",
        b'{"id": 1}',
        b'{"id": 1, "verb": 7}',
        b'{"id": 1, "verb": "status", "arguments": {"x": 1}}',
        b"\xff\xfe",
        b'{"id": 1, "verb": "maps", "arguments": {"pid": "x; rm"}}',
        b'{"id": 1, "verb": "status", "arguments": 3}',
    ],
)
def test_nonsense_on_the_control_socket_is_answered_and_harmless(frame, machine):
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.linger = 0
    socket.connect(machine.client.connection.control)
    socket.send(frame)
    assert socket.poll(20_000)
    assert json.loads(socket.recv_multipart()[0])["ok"] is False
    context.destroy(linger=0)
    assert machine.client.status()["runstate"] == "running"


def test_an_unknown_verb_names_those_there_are(machine):
    with pytest.raises(UsageError, match="knows no verb 'fly'"):
        machine.client.request("fly")


def test_qmp_answers_and_its_refusals_are_errors(machine):
    assert machine.client.qmp("query-version")["qemu"]["major"] >= 9
    with pytest.raises(MachineError, match="QEMU refuses no-such-command"):
        machine.client.qmp("no-such-command")


def test_the_machine_has_a_qmp_socket_of_its_own_for_scripts(machine):
    import asyncio

    from qemu.qmp import QMPClient

    async def ask():
        client = QMPClient("test")
        await client.connect(machine.client.connection.qmp_path)
        answer = await client.execute("query-status")
        await client.disconnect()
        return answer

    assert asyncio.run(ask())["running"] is True


def test_many_clients_at_once_each_get_their_own_answer(machine):
    answers = {}

    def ask(number):
        with Client.connect(machine.name) as client:
            answers[number] = [client.qmp("query-name")["name"] for _ in range(20)]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == {number: ["session"] * 20 for number in range(8)}


def test_ram_of_a_machine_killed_while_it_is_read_stays_readable(victim):
    view = victim.ram.pages()
    os.kill(victim.status()["qemu_pid"], signal.SIGKILL)
    wait_until(lambda: not connection.is_alive("victim"))
    assert view.sum() >= 0
    with pytest.raises(MachineGoneError):
        victim.processes()
