"""The events socket, by a subscriber of another language."""

import asyncio
import json

import pytest
import zmq
import zmq.asyncio

from qemu_bridge.daemon.events import MOST_UNREAD, EventPublisher
from qemu_bridge.daemon.state import MachineState
from qemu_bridge.daemon.viewers import Viewers
from qemu_bridge.host.tasks import TaskSet

guest = pytest.mark.guest


@pytest.fixture
def subscriber(machine):
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.linger = 0
        socket.connect(machine.client.connection.events)
        yield socket


def receive(socket):
    assert socket.poll(20_000)
    topic, text = socket.recv_multipart()
    return topic.decode(), json.loads(text)


@guest
def test_a_new_subscriber_gets_the_present_state_first(machine, subscriber):
    subscriber.subscribe(b"")
    topic, event = receive(subscriber)
    assert topic == event["event"] == "runstate"
    assert (event["machine"], event["runstate"], event["ready"]) == (machine.name, "running", True)
    assert event["time"] > 1e9


def receive_qmp(socket):
    """The next event of QEMU; one of another topic may still be under way."""
    while True:
        topic, event = receive(socket)
        if topic == "qmp":
            return event


@guest
def test_a_topic_is_the_name_of_an_event(machine, subscriber):
    subscriber.subscribe(b"qmp")
    # Subscriptions arrive in order, so with the welcome to this one the publisher has the first; then it is taken back.
    subscriber.subscribe(b"runstate")
    assert receive(subscriber)[0] == "runstate"
    subscriber.unsubscribe(b"runstate")
    with machine.paused():
        assert receive_qmp(subscriber)["name"] == "STOP"
    event = receive_qmp(subscriber)
    assert event["name"] == "RESUME" and isinstance(event["data"], dict)


def test_who_does_not_read_loses_what_is_beyond_its_backlog_and_others_get_everything(tmp_path):
    sent, address = 20_000, f"ipc://{tmp_path}/events"

    async def run():
        with zmq.asyncio.Context() as context:
            socket = context.socket(zmq.XPUB)
            events = EventPublisher("still", MachineState("still", False, True), Viewers("still"))
            events.add(socket)
            socket.bind(address)
            slow, good = context.socket(zmq.SUB), context.socket(zmq.SUB)
            slow.rcvhwm = 1
            for subscriber in (slow, good):
                subscriber.connect(address)
                subscriber.subscribe(b"qmp")
                assert await socket.recv() == b"\x01qmp"
            for number in range(sent):
                await events.qmp("TICK", {"number": number, "filler": "x" * 1000})
                assert json.loads((await good.recv_multipart())[1])["data"]["number"] == number
            read = []
            while await slow.poll(500):
                read.append(json.loads((await slow.recv_multipart())[1])["data"]["number"])
            context.destroy(linger=0)
            return read

    read = asyncio.run(run())
    # What the system's buffers hold comes on top.
    assert read == list(range(len(read))) and MOST_UNREAD <= len(read) < sent // 2


def test_many_subscriptions_at_once_are_one_event_to_those_that_are_there(tmp_path):
    async def run():
        with zmq.asyncio.Context() as context:
            socket, address = context.socket(zmq.XPUB), f"ipc://{tmp_path}/events"
            events = EventPublisher("still", MachineState("still", False, True), Viewers("still"))
            events.add(socket)
            socket.bind(address)
            quiet, loud = context.socket(zmq.SUB), context.socket(zmq.SUB)
            loud.sndhwm = 0
            for subscriber in (quiet, loud):
                subscriber.connect(address)
            quiet.subscribe(b"runstate")
            for number in range(3000):
                loud.subscribe(b"topic-%d" % number)
            loud.subscribe(b"runstate")
            tasks = TaskSet()
            tasks.start(events.welcome_subscribers(socket), "subscribers")
            assert await loud.poll(20_000)
            seen = 0
            while await quiet.poll(200):
                await quiet.recv_multipart()
                seen += 1
            await tasks.cancel_all()
            context.destroy(linger=0)
            return seen

    assert 1 <= asyncio.run(run()) < 300
