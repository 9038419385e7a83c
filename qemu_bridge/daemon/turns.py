"""Turns of clients: one that asks a thousand times at once delays itself, and others by one request only."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Turns:
    """A lock for each client that has something to do, made when needed and forgotten afterwards."""

    def __init__(self) -> None:
        self._locks: dict[bytes, tuple[asyncio.Lock, int]] = {}

    @contextlib.asynccontextmanager
    async def of(self, client: bytes) -> AsyncIterator[None]:
        """A context that `client` is in once at a time, in order of asking."""
        lock, users = self._locks.get(client, (None, 0))
        lock = lock or asyncio.Lock()
        self._locks[client] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            _, users = self._locks[client]
            if users == 1:
                del self._locks[client]
            else:
                self._locks[client] = lock, users - 1

    def __len__(self) -> int:
        """Clients that are in their turn or wait for it."""
        return len(self._locks)
