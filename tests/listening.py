"""Machines that listen for other hosts, and raw clients of them: ZeroMQ's socket and nothing of ours."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator

import zmq
from support import wait_until
from zmq.utils import z85
from zmq.utils.monitor import parse_monitor_message

from qemu_bridge.client import Client
from qemu_bridge.machine import launch
from qemu_bridge.wire import connection, keys
from qemu_bridge.wire.connection import Connection
from qemu_bridge.wire.endpoints import parse_remote
from qemu_bridge.wire.records import PROTOCOL_VERSION

ANY_PORT = "tcp://127.0.0.1:0"


def new_pair() -> keys.KeyPair:
    """A key pair of nobody yet."""
    return keys.KeyPair(*map(z85.decode, zmq.curve_keypair()))


def allow(pair: keys.KeyPair, role: str, comment: str = "") -> None:
    """Authorise a key."""
    keys.allow_client(keys.clients_path(), keys.AuthorizedClient(keys.parse_role(role), pair.public.hex(), comment))


def own_keys(role: str) -> keys.KeyPair:
    """Keys of this user's daemons and of its client, which is authorised and knows them once `trust` is called."""
    keys.make_pair(keys.DAEMON)
    pair = keys.make_pair(keys.CLIENT)
    allow(pair, role, "own")
    return pair


def trust(found: Connection) -> str:
    """Make the daemon of `found` known; returns the name by which its machine is reached."""
    keys.trust_daemon(parse_remote(found.listen).place, keys.read_pair(keys.DAEMON).public.hex())
    return f"{found.listen}/{found.name}"


@contextlib.contextmanager
def attached(name: str, **source: object) -> Iterator[Connection]:
    """A machine that is attached to and listens."""
    launch.attach(name, **source, listen=ANY_PORT)
    try:
        yield connection.find_connection(name)
    finally:
        if connection.is_alive(name):
            with Client.connect(name) as client:
                client.stop()
        wait_until(lambda: not connection.is_alive(name))


class RawClient:
    """A DEALER or SUB socket with these keys or none, and what became of its connection."""

    def __init__(
        self,
        address: str,
        pair: keys.KeyPair | None,
        daemon: bytes | None,
        kind: int = zmq.DEALER,
        most_kept: int = 1000,
    ) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(kind)
        self._socket.set(zmq.RCVHWM, most_kept)
        self._socket.linger = 0
        self._monitor = self._socket.get_monitor_socket()
        if pair is not None:
            self._socket.curve_publickey, self._socket.curve_secretkey = map(z85.encode, pair)
        if daemon is not None:
            self._socket.curve_serverkey = z85.encode(daemon)
        if kind == zmq.SUB:
            self._socket.subscribe(b"")
        self._socket.connect(address)
        self.seen: list[str] = []
        """Events of the connection so far."""

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.disable_monitor()
        self._context.destroy(0)

    def send(self, operation: str, number: int = 1, **arguments: object) -> None:
        """Send a request."""
        message = {"protocol": PROTOCOL_VERSION, "id": number, "operation": operation, "arguments": arguments}
        self._socket.send(json.dumps(message).encode())

    def receive(self, timeout_s: float = 20.0) -> list[bytes] | None:
        """The next message; None if there is none in time."""
        return self._socket.recv_multipart() if self._socket.poll(int(timeout_s * 1e3)) else None

    def ask(self, operation: str, **arguments: object) -> dict:
        """The reply to a request."""
        self.send(operation, **arguments)
        return json.loads(self.receive()[0])

    def wait_for(self, *names: str) -> str:
        """The first of these events of the connection."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._monitor.poll(30_000):
            name = zmq.Event(parse_monitor_message(self._monitor.recv_multipart())["event"]).name
            self.seen.append(name)
            if name in names:
                return name
        raise AssertionError(f"waited in vain for {names}, and saw {self.seen}")
