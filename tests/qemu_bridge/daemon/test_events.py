"""The events socket, by a subscriber of another language."""

import json

import pytest
import zmq

pytestmark = pytest.mark.guest


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


def test_a_new_subscriber_gets_the_present_state_first(machine, subscriber):
    subscriber.subscribe(b"")
    topic, event = receive(subscriber)
    assert topic == event["event"] == "runstate"
    assert (event["machine"], event["runstate"], event["ready"]) == (machine.name, "running", True)
    assert event["time"] > 1e9


def test_a_topic_is_the_name_of_an_event(machine, subscriber):
    subscriber.subscribe(b"qmp")
    # The welcome is of another topic: only QEMU's own events come.
    with machine.paused():
        assert [receive(subscriber)[1]["name"] for _ in range(1)] == ["STOP"]
    topic, event = receive(subscriber)
    assert (topic, event["name"]) == ("qmp", "RESUME") and isinstance(event["data"], dict)
