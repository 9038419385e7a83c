"""The two sockets of a machine: answers, broadcasts, nonsense."""

import json
import threading
import time

import pytest
import zmq

from qemu_bridge.client import Client
from qemu_bridge.errors import MachineError, UsageError

pytestmark = pytest.mark.guest


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
