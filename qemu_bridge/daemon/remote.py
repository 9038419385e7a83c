"""What a daemon serves to other hosts: control and events on two TCP ports, encrypted and authenticated by CURVE.

Its sockets are in a ZeroMQ context of their own, so no stranger's handshake takes time from clients on this host. A client
that is shut out gets no answer from then on; to end its connections all are ended, and those that may connect again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TYPE_CHECKING

from ..errors import HostError
from ..host.tasks import TaskSet
from ..wire.endpoints import parse_listen
from ..wire.keys import DAEMON, Authorization, clients_path, read_pair

if TYPE_CHECKING:
    import zmq.asyncio

    from .doors import CurveDoor
    from .events import EventPublisher

logger = logging.getLogger(__name__)

_DOMAIN = b"glassbox"
_PERIOD_S = 0.5
_LINGER_MS = 200
_SAY_AGAIN_S = 10.0


class RemoteFront:
    """The two ports of one machine.

    Attributes:
        address, events_address: where control and events listen, ``tcp://ADDRESS:PORT``.
    """

    def __init__(self, listen: str, limit: int) -> None:
        """Listen at `listen`, ``tcp://ADDRESS:PORT``, each port for `limit` connections.

        Nothing is accepted before `run`. `UsageError` for another address, without keys or without an authorised client;
        `HostError` where the ports are taken.
        """
        # Loaded for a daemon that listens; others start QEMU sooner.
        from .listener import listen_at, tcp_address

        host, port = parse_listen(listen)
        self._pair = read_pair(DAEMON)
        self._authorization = Authorization(clients_path())
        self._limit = limit
        self._let_in: set[str] = set()
        self._said_s = -_SAY_AGAIN_S
        try:
            self._control = listen_at(host, port)
            self._events = listen_at(host, port and port + 1)
        except OSError as error:
            raise HostError(
                f"cannot listen at {listen} and the port after it ({error.strerror}); name another address or port"
            ) from None
        self.address, self.events_address = tcp_address(self._control), tcp_address(self._events)

    async def run(self, serve: Callable[[CurveDoor], Coroutine[object, object, None]], events: EventPublisher) -> None:
        """Serve until cancelled: requests by `serve`, events by `events`."""
        import zmq.asyncio

        context, tasks = zmq.asyncio.Context(), TaskSet()
        authenticator = context.socket(zmq.REP)
        authenticator.bind("inproc://zeromq.zap.01")
        tasks.start(self._authenticate(authenticator), "authentication")
        try:
            while True:
                self._let_in.clear()
                async with self._open(context, serve, events):
                    while self._let_in <= self._authorization.clients().keys():
                        await asyncio.sleep(_PERIOD_S)
                logger.warning("a client was shut out; all clients on other hosts have to connect again")
        finally:
            await tasks.cancel_all()
            context.destroy(linger=_LINGER_MS)
            self._control.close()
            self._events.close()

    @contextlib.asynccontextmanager
    async def _open(
        self,
        context: zmq.asyncio.Context,
        serve: Callable[[CurveDoor], Coroutine[object, object, None]],
        events: EventPublisher,
    ) -> AsyncIterator[None]:
        import zmq

        from .doors import CurveDoor
        from .listener import TcpListener

        tasks = TaskSet()
        with self._socket(context, zmq.ROUTER) as control, self._socket(context, zmq.XPUB) as publisher:
            door = CurveDoor(control, self._authorization)
            events.add(publisher)
            for socket, listening in ((control, self._control), (publisher, self._events)):
                tasks.start(TcpListener(socket, listening, self._limit).run(), "connections from other hosts")
            tasks.start(serve(door), "control of other hosts")
            tasks.start(events.welcome_subscribers(publisher), "subscribers on other hosts")
            try:
                yield
            finally:
                events.remove(publisher)
                await tasks.cancel_all()

    def _socket(self, context: zmq.asyncio.Context, kind: int) -> zmq.asyncio.Socket:
        import zmq
        from zmq.utils import z85

        socket = context.socket(kind)
        socket.linger = _LINGER_MS
        socket.set(zmq.CURVE_SERVER, 1)
        socket.set(zmq.CURVE_SECRETKEY, z85.encode(self._pair.secret))
        socket.set(zmq.IPV6, 1)
        # Without an answer of the authenticator nobody gets in.
        socket.set(zmq.ZAP_DOMAIN, _DOMAIN)
        socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)
        return socket

    async def _authenticate(self, socket: zmq.asyncio.Socket) -> None:
        """Answer libzmq whether a client may connect, at each handshake: RFC 27, the ZeroMQ Authentication Protocol.

        Not by pyzmq's own authenticator, which misses one of two requests that come at the same moment.
        """
        while True:
            version, number, domain, _, _, mechanism, *credentials = await socket.recv_multipart()
            key = credentials[0].hex() if (domain, mechanism) == (_DOMAIN, b"CURVE") and len(credentials) == 1 else ""
            answer = [b"200", b"OK", key.encode()] if self._is_known(key) else [b"400", b"", b""]
            await socket.send_multipart([version, number, *answer, b""])

    def _is_known(self, key: str) -> bool:
        if self._authorization.role_of(key) is not None:
            self._let_in.add(key)
            return True
        # A stranger that tries often must not fill the log.
        if time.monotonic() > self._said_s + _SAY_AGAIN_S:
            self._said_s = time.monotonic()
            logger.warning("a client with the key %s was turned away; it is not authorised", key)
        return False
