"""The machines that a server reaches, and a client of each."""

from __future__ import annotations

import threading

from ...client import Client
from ...errors import UnknownMachineError, UsageError
from ...wire import connection as connections


class Machines:
    """All running machines of this user; a question that names none is about `default`, or about the only one."""

    def __init__(self, default: str = "") -> None:
        self._default = default
        self._clients: dict[str, Client] = {}
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """The names of the machines that run now, the default first."""
        found = sorted(each.name for each in connections.iter_connections())
        return sorted(found, key=lambda name: name != self._default)

    def client(self, name: str = "") -> Client:
        """A client of machine `name`; `UnknownMachineError` where there is none, `UsageError` where several may be meant."""
        name = name or self._default or self._only()
        with self._lock:
            for each, client in list(self._clients.items()):
                if not client.is_alive():
                    self._clients.pop(each).close()
            if name not in self._clients:
                self._clients[name] = Client.connect(name)
            return self._clients[name]

    def close(self) -> None:
        """Close the clients; the machines run on."""
        while self._clients:
            self._clients.popitem()[1].close()

    def _only(self) -> str:
        names = self.names()
        if not names:
            raise UnknownMachineError("no machine runs; start one with 'glassbox start demo --wait'")
        if len(names) > 1:
            raise UsageError(f"several machines run ({', '.join(names)}); name one as 'machine'")
        return names[0]
