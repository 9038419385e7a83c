"""Doors, without a daemon: what a role includes, whose requests are the same client's, and clients that do not read."""

import asyncio
import contextlib

import pytest
import zmq
import zmq.asyncio

from qemu_bridge.daemon import doors
from qemu_bridge.daemon.doors import MOST_UNREAD, Door, Requester
from qemu_bridge.errors import UsageError
from qemu_bridge.host.tasks import TaskSet
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


@contextlib.asynccontextmanager
async def a_client_of_a_door(path, tasks):
    """A door with a socket, a client's socket that keeps one message, and the client as the door knows it."""
    with (
        zmq.asyncio.Context() as context,
        context.socket(zmq.ROUTER) as listening,
        context.socket(zmq.DEALER) as client,
    ):
        client.setsockopt(zmq.RCVHWM, 1)
        listening.linger = client.linger = 0
        door = Door(listening)
        listening.bind(f"ipc://{path}")
        client.connect(f"ipc://{path}")
        await client.send(b"hello")
        requester, _ = await door.receive()
        # As a service does. libzmq lets a peer go when all that it sent is read.
        receiving = tasks.start(door.receive(), "next")
        yield client, requester
        receiving.cancel()


async def fill(requester, tasks):
    """Send more numbered replies of 64 KiB than there is room for; returns the tasks that send them."""
    sent = [tasks.start(requester.send(b"%d" % number, bytes(1 << 16)), "reply") for number in range(2 * MOST_UNREAD)]
    while sum(each.done() for each in sent) < MOST_UNREAD:
        await asyncio.sleep(0.01)
    assert not all(each.done() for each in sent) and not requester.is_reading
    return sent


def test_replies_wait_for_a_client_that_does_not_read_and_come_all_in_order(tmp_path):
    async def run():
        tasks = TaskSet()
        async with a_client_of_a_door(tmp_path / "door", tasks) as (client, requester):
            sent = await fill(requester, tasks)
            free = tasks.start(requester.wait_reading(), "free")
            requester.offer(b"progress")
            assert not free.done()
            read = [int((await client.recv_multipart())[0]) for _ in sent]
            await asyncio.gather(free, *sent)
            requester.offer(b"progress again")
            assert await client.recv_multipart() == [b"progress again"]
        # What may be dropped was, as there was no room; nothing else.
        assert read == list(range(len(sent))) and requester.is_reading

    asyncio.run(run())


def test_refusals_wait_until_there_are_too_many(tmp_path, monkeypatch):
    async def run():
        tasks = TaskSet()
        async with a_client_of_a_door(tmp_path / "door", tasks) as (client, requester):
            sent = await fill(requester, tasks)
            monkeypatch.setattr(doors, "MOST_REFUSALS", requester.door._waiting[requester.identity].count + 3)
            refused = [tasks.start(requester.refuse(b"refused %d" % number), "refusal") for number in range(6)]
            await asyncio.sleep(0)
            dropped = [number for number, task in enumerate(refused) if task.done()]
            read = [(await client.recv_multipart())[0] for _ in range(len(sent) + len(refused) - len(dropped))]
            await asyncio.gather(*sent, *refused)
        # The first ones wait behind the replies, the last ones are dropped at once.
        kept = [number for number in range(6) if number not in dropped]
        assert dropped and kept and max(kept) < min(dropped)
        assert read[len(sent) :] == [b"refused %d" % number for number in kept]

    asyncio.run(run())


def test_what_waits_for_a_client_that_vanishes_is_dropped(tmp_path):
    async def run():
        tasks = TaskSet()
        async with a_client_of_a_door(tmp_path / "door", tasks) as (client, requester):
            sent = await fill(requester, tasks)
            client.close()
            await asyncio.gather(requester.wait_reading(), *sent)
            assert requester.is_reading
            await requester.send(b"to nobody")

    asyncio.run(run())


def test_what_waits_at_a_door_that_is_closed_is_dropped(tmp_path):
    async def run():
        tasks = TaskSet()
        async with a_client_of_a_door(tmp_path / "door", tasks) as (_, requester):
            sent = await fill(requester, tasks)
            requester.door._socket.close()
            await asyncio.gather(requester.wait_reading(), *sent)

    asyncio.run(run())
