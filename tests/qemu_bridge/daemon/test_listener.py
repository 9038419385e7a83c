"""However many connect, the daemon and its guest live and those that were connected are served."""

import asyncio
import os
import resource

import pytest
import zmq
import zmq.asyncio
from flood import flood
from support import glassbox, wait_until

from qemu_bridge.client import Client
from qemu_bridge.daemon.descriptors import (
    BACKLOG,
    MOST_CONNECTIONS,
    MOST_UNCOUNTED,
    connection_limit,
    raise_descriptor_limit,
)
from qemu_bridge.daemon.listener import Listener, TcpListener, end_when_unused, listen_at, tcp_address
from qemu_bridge.host.tasks import TaskSet


@pytest.fixture(autouse=True)
def many_descriptors():
    """As many descriptors as a daemon has: users mostly have 1024 until they ask for more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    raise_descriptor_limit()
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.guest
@pytest.mark.parametrize("socket", ["control", "events"])
def test_more_connections_than_there_is_room_for_harm_neither_daemon_nor_guest(socket, machine):
    with flood(getattr(machine.client.connection, socket), MOST_CONNECTIONS + 500) as held:
        assert held >= connection_limit()
        assert machine.client.status().runstate == "running" and machine.exec("echo here") == b"here\n"
    # Those that left make room.
    wait_until(lambda: glassbox("status", machine.name).returncode == 0)
    with Client.connect(machine.name) as another:
        assert another.ps()


def test_a_listener_that_cannot_count_takes_no_more_than_there_is_room_for(tmp_path):
    path = str(tmp_path / "s")

    async def scenario():
        context = zmq.asyncio.Context()
        with context, context.socket(zmq.ROUTER) as served:
            listener = Listener(served, f"ipc://{path}")
            before = len(os.listdir("/proc/self/fd"))
            with flood(f"ipc://{path}", 2 * MOST_UNCOUNTED) as held:
                # `flood` blocks this loop: nothing was counted so far.
                assert held >= MOST_UNCOUNTED - BACKLOG
                assert len(os.listdir("/proc/self/fd")) <= before + MOST_UNCOUNTED - BACKLOG + 3  # its own pipes
                tasks = TaskSet()
                tasks.start(listener.run(), "listener")
                while not listener.is_closed:
                    await asyncio.sleep(0.01)
            while listener.connected:
                await asyncio.sleep(0.01)
            await tasks.cancel_all()

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_the_file_is_moved_aside_when_there_are_too_many_and_comes_back(tmp_path, monkeypatch):
    monkeypatch.setattr("qemu_bridge.daemon.descriptors.MOST_CONNECTIONS", 4)
    path = tmp_path / "s"

    async def scenario():
        context = zmq.asyncio.Context()
        counts = []
        with context, context.socket(zmq.ROUTER) as served:
            listener = Listener(served, f"ipc://{path}", counts.append)
            tasks = TaskSet()
            tasks.start(listener.run(), "listener")
            clients = [context.socket(zmq.DEALER) for _ in range(6)]
            for client in clients[:4]:
                client.connect(f"ipc://{path}")
                await client.send(b"hello")
                assert (await served.recv_multipart())[1] == b"hello"
            while not listener.is_closed:
                await asyncio.sleep(0.01)
            assert not path.exists() and listener.connected == 4
            for client in clients[4:]:
                client.connect(f"ipc://{path}")
                await client.send(b"hello")
            for client in clients[:3]:
                client.close(0)
            # The two that waited are let in.
            assert [(await served.recv_multipart())[1] for _ in range(2)] == [b"hello", b"hello"]
            assert path.exists() and max(counts) == 4
            for client in clients[3:]:
                client.close(0)
            while listener.connected:
                await asyncio.sleep(0.01)
            await tasks.cancel_all()

    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_a_port_with_too_many_connections_takes_more_when_some_end():
    async def scenario():
        context = zmq.asyncio.Context()
        with listen_at("127.0.0.1", 0) as listening, context, context.socket(zmq.ROUTER) as served:
            listener = TcpListener(served, listening, limit=4)
            tasks = TaskSet()
            tasks.start(listener.run(), "listener")
            clients = [context.socket(zmq.DEALER) for _ in range(6)]
            for client in clients[:4]:
                client.connect(tcp_address(listening))
                await client.send(b"hello")
                identity, _ = await served.recv_multipart()
            while not listener.is_closed:
                await asyncio.sleep(0.01)
            for client in clients[4:]:
                client.connect(tcp_address(listening))
                await client.send(b"late")
            # Those that are connected are served as before; those that wait are not.
            await clients[3].send(b"again")
            assert await served.recv_multipart() == [identity, b"again"]
            assert not await served.poll(500) and listener.connected == 4
            for client in clients[:3]:
                client.close(0)
            assert [(await served.recv_multipart())[1] for _ in range(2)] == [b"late", b"late"]
            assert not listener.is_closed
            for client in clients[3:]:
                client.close(0)
            while listener.connected:
                await asyncio.sleep(0.01)
            await tasks.cancel_all()

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_a_port_in_use_is_not_taken():
    with listen_at("127.0.0.1", 0) as listening, pytest.raises(OSError):
        listen_at(*listening.getsockname())


def test_idle_time_counts_only_without_connections():
    async def scenario():
        counts = asyncio.Queue()
        counts.put_nowait(1)
        ended = TaskSet().start(end_when_unused(counts, 0.05), "idle")
        await asyncio.sleep(0.2)
        assert not ended.done()
        counts.put_nowait(0)
        await asyncio.wait_for(ended, 20)

    asyncio.run(scenario())


def test_the_wait_for_clients_ends_when_it_is_cancelled_as_one_comes():
    async def scenario():
        for turns in range(8):  # of the event loop between the client and the cancellation
            counts = asyncio.Queue()
            waiting = TaskSet().start(end_when_unused(counts, 1000), "idle")
            await asyncio.sleep(0.01)
            counts.put_nowait(1)
            for _ in range(turns):
                await asyncio.sleep(0)
            waiting.cancel()
            assert await asyncio.wait([waiting], timeout=20) == ({waiting}, set())

    asyncio.run(scenario())


def test_listeners_follow_one_another_at_one_port():
    # As when clients on other hosts are shut out; Python gives the next listener the address of the last one.
    async def scenario():
        with listen_at("127.0.0.1", 0) as listening, zmq.asyncio.Context() as context:
            for _ in range(30):
                with context.socket(zmq.ROUTER) as served:
                    tasks = TaskSet()
                    tasks.start(TcpListener(served, listening).run(), "listener")
                    await asyncio.sleep(0)
                    await tasks.cancel_all()

    asyncio.run(scenario())
