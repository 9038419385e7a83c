"""The service: the application on a socket until it is told to end."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import uvicorn

from ..wire.operations import Permission
from .access import Access
from .app import make_app
from .listen import Listen, remove_socket, url_of
from .machines import Machines

MOST_CONNECTIONS = 512
_PATIENCE_S = 2
"""How long requests under way have when the service ends."""
_MOST_MESSAGE = 64 << 10


@dataclass(frozen=True, slots=True)
class Serving:
    """A service that can be reached: its address, without the token, and the token; None where none is needed."""

    url: str
    token: str | None

    @property
    def page(self) -> str:
        """The address of the page with the token behind ``#``, a part that browsers send to nobody."""
        return self.url if self.token is None else f"{self.url}#token={self.token}"


def serve(listen: Listen, allowed: frozenset[Permission], on_ready: Callable[[Serving], None]) -> None:
    """Serve all machines of this user until SIGINT or SIGTERM; `on_ready` is told where, once it can be reached.

    Raises `UsageError` and `HostError` as `Listen` does.
    """
    token, tls = listen.read_token(), listen.tls()
    machines = Machines()
    app = make_app(Access(token, listen.hosts, allowed | {Permission.READ}), machines)
    listener = listen.bind()
    try:
        config = uvicorn.Config(
            app,
            http="httptools",
            ws="websockets-sansio",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=_PATIENCE_S,
            ws_max_size=_MOST_MESSAGE,
        )
        config.load()
        # Made here: uvicorn would ask for the passphrase of a key on the terminal.
        config.ssl = tls
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        serving = Serving(url_of(listen, listener), token)
        _Server(config, lambda: on_ready(serving), machines.ending.set).run(sockets=[listener])
    finally:
        remove_socket(listen, listener)


class _Server(uvicorn.Server):
    """Uvicorn's server, which tells when it listens and ends quietly."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None], on_end: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready, self._on_end = on_ready, on_end

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_end()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Uvicorn raises the signal again when it has ended, which would end the command with a traceback.
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = [signal.signal(number, self.handle_exit) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)
