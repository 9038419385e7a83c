"""Doors, without a daemon: what a role includes, and whose requests are the same client's."""

import contextlib

import pytest
import zmq

from qemu_bridge.daemon.doors import Door, Requester
from qemu_bridge.errors import UsageError
from qemu_bridge.wire.operations import Operations, Permission


@pytest.fixture
def a_door():
    """A function that makes a door that nobody can reach."""
    with zmq.Context() as context, contextlib.ExitStack() as sockets:
        yield lambda: Door(sockets.enter_context(context.socket(zmq.ROUTER)))


def test_a_client_of_this_host_may_do_everything(a_door):
    for row in (Operations.exec, Operations.snap, Operations.status):
        Requester(a_door(), b"1").check(row)


def test_a_refusal_names_what_is_needed_and_what_there_is(a_door):
    with pytest.raises(UsageError, match="pause needs the role control, and this key has read"):
        Requester(a_door(), b"1", Permission.READ).check(Operations.pause)


def test_a_requester_stays_the_same_when_its_role_changes_and_differs_by_door(a_door):
    door, other = a_door(), a_door()
    assert Requester(door, b"1", Permission.READ) == Requester(door, b"1", Permission.WRITE)
    assert Requester(door, b"1") != Requester(other, b"1") and Requester(door, b"1") != Requester(door, b"2")


def test_requests_are_counted_by_key_where_there_is_one(a_door):
    door = a_door()
    assert Requester(door, b"1").client == b"1"
    assert Requester(door, b"1", Permission.READ, "k").client == Requester(door, b"2", Permission.READ, "k").client
