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


def receive_qmp(socket):
    """The next event of QEMU; one of another topic may still be under way."""
    while True:
        topic, event = receive(socket)
        if topic == "qmp":
            return event


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
