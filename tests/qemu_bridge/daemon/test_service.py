"""The two sockets of a machine: answers, broadcasts, nonsense."""

import asyncio
import contextlib
import json
import threading
import time

import pytest
import zmq

from qemu_bridge.client import Client
from qemu_bridge.daemon.backends.image import RamImage
from qemu_bridge.daemon.doors import Requester
from qemu_bridge.daemon.service import Service, limit_log
from qemu_bridge.daemon.unanswered import MOST_UNANSWERED
from qemu_bridge.errors import MachineError
from qemu_bridge.machine.config import MachineConfig
from qemu_bridge.memory.addresses import RamLayout
from qemu_bridge.wire.connection import Connection
from qemu_bridge.wire.event_records import RunstateEvent
from qemu_bridge.wire.records import PROTOCOL_VERSION, Origin, Runstate

pytestmark = pytest.mark.guest


def test_pause_and_resume_are_broadcast(machine):
    events = Client.connect(machine.name)
    stream = events.events()
    assert next(stream).runstate is Runstate.RUNNING
    machine.client.pause()
    assert machine.client.status().runstate == "paused"
    machine.client.resume()
    states = [event.runstate for event in (next(stream) for _ in range(4)) if isinstance(event, RunstateEvent)]
    assert states == ["paused", "running"]
    events.close()


def test_a_paused_guest_stands_still(machine):
    with machine.paused():
        before = machine.ram.read(0, 1 << 20)
        machine.client.dirty()
        time.sleep(0.2)
        assert machine.client.dirty(machine.client.dirty().epoch).value == ()
        assert machine.ram.read(0, 1 << 20) == before


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{",
        b"[]",
        b'{"id": 1}',
        b'{"id": 1, "protocol": 3, "operation": 7}',
        b'{"id": 1, "protocol": 3, "operation": "fly"}',
        b'{"id": 1, "protocol": 1, "operation": "status"}',
        b'{"id": 1, "protocol": 3, "operation": "maps"}',
        b"\xff\xfe",
        b'{"id": 1, "protocol": 3, "operation": "maps", "arguments": {"pid": "x; rm"}}',
        b'{"id": 1, "protocol": 3, "operation": "maps", "arguments": {"pid": 1e999}}',
        b'{"id": NaN, "protocol": 3, "operation": "status"}',
        b'{"id": 1, "protocol": 3, "operation": "status", "arguments": 3}',
        b"[" * 5000,
    ],
)
def test_nonsense_on_the_control_socket_is_answered_and_harmless(frame, machine):
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.linger = 0
    socket.connect(machine.client.connection.control)
    socket.send(frame)
    assert socket.poll(20_000)
    reply = json.loads(socket.recv_multipart()[0])
    assert reply["ok"] is False and reply["error"]["kind"] == "UsageError"
    assert reply["id"] == (1 if frame.startswith(b'{"id": 1') else None)
    context.destroy(linger=0)
    assert machine.client.status().runstate == "running"


def ask(machine, **message):
    """The reply to a request as another language would write it."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.connect(machine.client.connection.control)
        socket.send_json({"protocol": PROTOCOL_VERSION, "id": 1, **message})
        assert socket.poll(20_000)
        return json.loads(socket.recv_multipart()[0])


def test_an_unknown_operation_names_those_there_are(machine):
    message = ask(machine, operation="fly")["error"]["message"]
    assert "no operation 'fly'" in message and "refresh_page_map" in message


def test_a_wrong_argument_is_named_with_the_type_wanted_and_the_type_given(machine):
    for arguments, words in (({"pid": "x"}, "pid: expected integer, got string"), ({}, "missing required field pid")):
        message = ask(machine, operation="maps", arguments=arguments)["error"]["message"]
        assert f"invalid arguments of maps: {words}" in message
    wrong = ask(machine, operation="wait_ready", arguments={"timeout_s": "soon"})["error"]["message"]
    assert "timeout_s: expected number ≥ 0, got string" in wrong


def test_fields_that_are_not_known_are_passed_over(machine):
    assert ask(machine, operation="status", arguments={"colour": 1}, mood="fine")["ok"]


def test_another_protocol_is_refused_in_words(machine):
    assert "protocol 2" in ask(machine, operation="status", protocol=2)["error"]["message"]


def test_qmp_answers_and_its_refusals_are_errors(machine):
    assert machine.client.qmp("query-version")["qemu"]["major"] >= 9
    with pytest.raises(MachineError, match="QEMU refuses no-such-command"):
        machine.client.qmp("no-such-command")


def test_the_machine_has_a_qmp_socket_of_its_own_for_scripts(machine):
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


class Replies:
    """A door that keeps what is sent."""

    def __init__(self):
        self.sent = []

    def is_reading(self, identity):
        return True

    async def wait_reading(self, identity):
        pass

    async def send(self, identity, *frames):
        self.offer(identity, *frames)

    async def refuse(self, identity, *frames):
        self.offer(identity, *frames)

    def offer(self, identity, *frames):
        self.sent.append([identity, *map(bytes, frames)])


@pytest.fixture
def replies():
    return Replies()


@pytest.fixture
def service(tmp_path):
    """A service of a RAM image, without its sockets."""
    ram = tmp_path / "ram"
    ram.write_bytes(bytes(1 << 20))
    regions = tuple((int(r.start), int(r.offset), r.size) for r in RamLayout.from_rule("pc", 1 << 20).regions)
    connection = Connection(
        "still", "running", 1, "ipc://c", "ipc://e", str(ram), regions, str(tmp_path / "pages"), "", "", "/its/daemon.log",
        "pc", "none", origin=Origin.IMAGE,
    )  # fmt: skip
    return Service(MachineConfig("still", memory=1 << 20, smp=0, accelerator="none"), RamImage(ram), connection, -1)


@pytest.mark.parametrize("error", [TypeError("ours"), KeyError("ours"), ValueError("ours"), ZeroDivisionError("ours")])
def test_a_fault_of_the_daemon_is_its_own_and_logged_with_its_traceback(service, replies, monkeypatch, caplog, error):
    async def fail():
        raise error

    monkeypatch.setattr(service._functions, "pause", fail)
    frame = json.dumps({"protocol": PROTOCOL_VERSION, "id": "x", "operation": "pause"}).encode()
    asyncio.run(service._answer(Requester(replies, b"client"), frame))
    ((identity, text),) = replies.sent
    reply = json.loads(text)
    assert (identity, reply["id"], reply["ok"], reply["error"]["kind"]) == (b"client", "x", False, "MachineError")
    assert "the daemon failed" in reply["error"]["message"] and "/its/daemon.log" in reply["error"]["message"]
    assert "Traceback" in caplog.text and type(error).__name__ in caplog.text


def test_a_clients_mistake_is_not_logged_as_a_fault(service, replies, caplog):
    frame = json.dumps(
        {"protocol": PROTOCOL_VERSION, "id": 1, "operation": "exec", "arguments": {"command": 7}}
    ).encode()
    asyncio.run(service._answer(Requester(replies, b"client"), frame))
    reply = json.loads(replies.sent[0][1])
    assert (
        reply["error"]["kind"] == "UsageError"
        and "command: expected string | [string, …], got integer" in reply["error"]["message"]
    )
    assert "Traceback" not in caplog.text


def test_a_client_with_too_many_unanswered_requests_is_refused_and_the_others_are_not(service, replies):
    frame = json.dumps(
        {"protocol": PROTOCOL_VERSION, "id": 5, "operation": "cancel", "arguments": {"request": 1}}
    ).encode()
    with contextlib.ExitStack() as waiting:
        for _ in range(MOST_UNANSWERED):
            waiting.enter_context(service._unanswered.counted(b"greedy", 1))
        asyncio.run(service._answer(Requester(replies, b"greedy"), frame))
        asyncio.run(service._answer(Requester(replies, b"modest"), frame))
    greedy, modest = (json.loads(text) for _, text in replies.sent)
    assert (greedy["id"], greedy["ok"]) == (5, False) and "are unanswered" in greedy["error"]["message"]
    assert modest["ok"] and len(service._unanswered) == 0


def test_a_log_that_is_full_starts_over_and_its_writers_go_on(tmp_path):
    path = tmp_path / "daemon.log"
    with open(path, "ab", buffering=0) as writer:
        writer.write(bytes(900))
        limit_log(path, 1000)
        assert path.stat().st_size == 900
        writer.write(bytes(200))
        limit_log(path, 1000)
        writer.write(b"more")
        assert path.read_bytes().endswith(b"more") and path.stat().st_size < 300
    limit_log(tmp_path / "none")
