"""Turns of clients: one that asks a thousand times at once delays itself, and others by one request only."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Protocol


class Reader(Protocol):
    """Who gets what is made in a turn: a `Requester`."""

    @property
    def is_reading(self) -> bool:
        """Whether nothing that was made for it waits to be sent."""

    async def wait_reading(self) -> None:
        """Return when nothing waits any more."""


class Turns:
    """A lock for each client that has something to do, made when needed and forgotten afterwards."""

    def __init__(self) -> None:
        self._locks: dict[bytes, tuple[asyncio.Lock, int]] = {}

    @contextlib.asynccontextmanager
    async def of(
        self, client: bytes, reader: Reader | None = None, timeout_s: float | None = None
    ) -> AsyncIterator[float | None]:
        """A context that `client` is in once at a time, in order of asking, and not while something for `reader` waits.

        Its value is what is left of `timeout_s`; while `reader` does not read, that time does not pass. `TimeoutError` when
        none is left.
        """
        loop = asyncio.get_running_loop()
        while True:
            if reader is not None and not reader.is_reading:
                await reader.wait_reading()
            begun = loop.time()
            lock, users = self._locks.get(client, (None, 0))
            lock = lock or asyncio.Lock()
            self._locks[client] = lock, users + 1
            try:
                # Most clients ask one thing at a time, and wait for nobody.
                async with asyncio.timeout(timeout_s) if users and timeout_s is not None else contextlib.nullcontext():
                    await lock.acquire()
                try:
                    if timeout_s is not None:
                        timeout_s = max(0.0, timeout_s - (loop.time() - begun))
                    # An answer that was made in a turn before this one may wait since then.
                    if reader is None or reader.is_reading:
                        yield timeout_s
                        return
                finally:
                    lock.release()
            finally:
                self._forget(client)

    def _forget(self, client: bytes) -> None:
        lock, users = self._locks[client]
        if users == 1:
            del self._locks[client]
        else:
            self._locks[client] = lock, users - 1

    def __len__(self) -> int:
        """Clients that are in their turn or wait for it."""
        return len(self._locks)
