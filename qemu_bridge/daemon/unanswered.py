"""Requests that are being answered, and how many of them one client may have."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ..errors import MachineError

MOST_UNANSWERED = 1024
"""Requests of one client that are being answered; more are refused."""
MOST_UNANSWERED_BYTES = 32 << 20
"""What they have together; a request that would make it more is refused."""


class Unanswered:
    """Counts each client's requests until their replies are handed over, and forgets a client without any."""

    def __init__(self) -> None:
        self._clients: dict[bytes, tuple[int, int]] = {}

    @contextlib.contextmanager
    def counted(self, client: bytes, size_bytes: int) -> Iterator[MachineError | None]:
        """A context in which a request of `client` counts; its value is why it is refused, None where it is accepted."""
        count, size = self._clients.get(client, (0, 0))
        refusal = None
        if count >= MOST_UNANSWERED:
            refusal = f"{MOST_UNANSWERED} requests of this client are unanswered"
        elif count and size + size_bytes > MOST_UNANSWERED_BYTES:
            refusal = f"requests of this client with {size >> 20} MiB are unanswered"
        if refusal is not None:
            yield MachineError(f"{refusal}; wait for some of them, and ask again")
            return
        self._add(client, 1, size_bytes)
        try:
            yield None
        finally:
            self._add(client, -1, -size_bytes)

    def _add(self, client: bytes, count: int, size_bytes: int) -> None:
        counts, size = self._clients.get(client, (0, 0))
        if counts + count:
            self._clients[client] = counts + count, size + size_bytes
        else:
            del self._clients[client]

    def __len__(self) -> int:
        """Clients with requests that are being answered."""
        return len(self._clients)
