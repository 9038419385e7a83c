"""What makes a running machine findable, put back when something removed it.

The runtime folder lies where cleaners of temporary files come by. A machine whose lock, connection file or sockets are gone
would be invisible, could not be stopped, and another could start under its name. So the daemon looks every other second
and restores what is missing. A name that another daemon has taken meanwhile stays with it, and so do its files.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from ..errors import GlassBoxError
from ..wire import connection as connections
from ..wire.connection import Connection
from .listener import Listener

logger = logging.getLogger(__name__)

PERIOD_S = 2.0


class Presence:
    """The lock (a descriptor), connection file and listeners of one machine."""

    def __init__(self, connection: Connection, lock: int, listeners: Sequence[Listener]) -> None:
        self._connection, self._lock, self._listeners = connection, lock, listeners
        self._is_reported = False

    async def run(self) -> None:
        """Keep the machine findable."""
        while True:
            await asyncio.sleep(PERIOD_S)
            try:
                self.restore()
            except (GlassBoxError, OSError) as error:
                self._report(str(error))

    def restore(self) -> None:
        """Put back what is missing."""
        name = self._connection.name
        if not connections.holds_lock(name, self._lock) and not connections.regain_lock(name, self._lock):
            self._report("another machine has taken the name")
            return
        if not connections.has_connection_file(name):
            logger.warning("the connection file was removed; it is written again")
            connections.write_connection(self._connection)
        for listener in self._listeners:
            listener.restore()
        self._is_reported = False

    def _report(self, reason: str) -> None:
        if not self._is_reported:
            logger.error("machine %r cannot be found any more: %s", self._connection.name, reason)
        self._is_reported = True
