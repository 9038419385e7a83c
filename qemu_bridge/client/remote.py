"""The blocking client of a machine on another host, reached by TCP with CURVE keys or through ssh.

>>> with Client.connect("ssh://me@box/demo") as demo:
...     demo.ram.read(PhysicalAddress(0x1000), 4)
b'\\x00\\x00\\x00\\x00'
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import zmq

from ..errors import PageMapOverwrittenError
from ..wire.endpoints import RemoteName, parse_remote
from ..wire.operations import MAX_READ_PAGES, TIMEOUT_S
from ..wire.page_map import ENTRY, PageMap, make_page_map
from ..wire.records import Answer, Grade, PageMapHeader
from .blocking import Client
from .elsewhere import Elsewhere

if TYPE_CHECKING:
    from ..memory.ram import GuestRam


class RemoteClient(Elsewhere, Client):
    """A client of a machine on another host: what others map, it reads by operations."""

    def __init__(self, remote: RemoteName, timeout_s: float = TIMEOUT_S) -> None:
        """Connect to `remote`; raises `MachineGoneError` where it cannot be reached, `UsageError` without its key or one's own."""
        Elsewhere.__init__(self, remote)
        if remote.scheme == "ssh":
            from .ssh import forward

            Client.__init__(self, forward(remote).connection, timeout_s)
            return
        Client.__init__(self, self._unknown(), timeout_s)
        try:
            self._adopt(self.describe())
        except BaseException:
            self.close()
            raise

    @classmethod
    def connect(cls, name: str) -> RemoteClient:
        """The client of the machine that `name`, such as ``ssh://me@box/demo``, says where to find."""
        return cls(parse_remote(name))

    # --- sockets -------------------------------------------------------------------------------------------

    def _socket(self) -> zmq.Socket[bytes]:
        before: zmq.Socket[bytes] | None = getattr(self._threads, "socket", None)
        if before is None or before.closed or self._is_reached(before):
            return super()._socket()
        self._disconnect(before)
        if self._keys is None:
            from .ssh import forward

            self.connection = forward(self._remote).connection
        self._check_there(self.describe())
        return super()._socket()

    # --- what a client on the machine's host does without the daemon ------------------------------------------

    def is_alive(self) -> bool:
        """Whether the connection to its daemon stands. No round trip."""
        socket: zmq.Socket[bytes] | None = getattr(self._threads, "socket", None)
        return socket is None or socket.closed or self._is_reached(socket)

    @cached_property
    def ram(self) -> GuestRam:
        """The machine's RAM: a mirror here that is filled as it is read."""
        from .remote_ram import RemoteRam

        return RemoteRam(self, self.connection.layout)

    def _read_page_map(self, header: Answer[PageMapHeader]) -> Answer[PageMap] | None:
        with contextlib.suppress(PageMapOverwrittenError):
            page_map = self._fetch_page_map(header.value, header.grade, header.skipped)
            return Answer(page_map, header.grade, header.epoch, header.skipped, header.elapsed_s)
        return None

    def published_page_map(self, generation: int) -> PageMap:
        """As of a machine here."""
        return self._fetch_page_map(PageMapHeader(generation, ()), Grade.LIVE, ())

    def _fetch_page_map(self, header: PageMapHeader, grade: Grade, skipped: tuple[str, ...]) -> PageMap:
        parts = b"".join(self._iter_entries(header.generation))
        return make_page_map(np.frombuffer(parts, ENTRY), header, grade, skipped)

    def _iter_entries(self, generation: int) -> Iterator[bytes]:
        for first in range(0, self.connection.layout.size >> 12, MAX_READ_PAGES):
            yield self.read_page_map(generation, first).value
