"""A running machine, or a capture, as a source of the viewer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from qemu_bridge.errors import GuestError, UsageError
from qemu_bridge.memory.addresses import format_size
from qemu_bridge.wire.page_map import PageMap

if TYPE_CHECKING:
    from qemu_bridge.client import Client
    from qemu_bridge.memory.ram import GuestRam

    from .comparison import Comparison


def open_machines(
    names: Sequence[str],
    against: str | None = None,
    is_followed: bool = False,
    reading: Callable[[int, int], None] | None = None,
) -> Iterator[MachineSource]:
    """Yield a source for each name, as `MachineSource`; `UsageError` for one that comes twice, or for several to compare with a capture."""
    if against is not None and len(names) > 1:
        raise UsageError("a capture is compared with one machine; name that one alone with --against")
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"{twice[0]} is named twice; a machine stands once in a picture")
    for name in names:
        yield MachineSource(name, against, is_followed, reading)


class MachineSource:
    """A running machine as a `viewer.sources.source.Source`. A client serves one thread, so every thread gets its own.

    As a context manager it is closed at the end.
    """

    def __init__(
        self,
        name: str,
        capture: str | None = None,
        is_followed: bool = False,
        reading: Callable[[int, int], None] | None = None,
    ) -> None:
        """Connect to machine `name`, compared with the folder `capture` if one is named.

        Of one that `is_followed`, if it runs elsewhere, memory is brought here by who wants it, as `want` or a watcher: nobody else waits until
        all of it has come. `reading` is told how many bytes came, and of how many.

        `UnknownMachineError` if there is none, `UsageError` for a folder that is not a capture of it.
        """
        self._name, self._capture, self._is_followed, self._reading = name, capture, is_followed, reading
        self._local = threading.local()
        self._clients: list[Client] = []
        self._client()

    def _client(self) -> Client:
        from qemu_bridge.client import Client

        client: Client | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = self._keep(Client.connect(self._name))
        return client

    def _keep(self, client: Client) -> Client:
        self._clients.append(client)
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its clients, of whichever thread; none may use the source any more."""
        while self._clients:
            self._clients.pop().close()

    def connect(self) -> Client:
        """A client of the caller's own, to query the daemon with."""
        from qemu_bridge.client import Client

        return Client.connect(self._name)

    def reopen(self) -> MachineSource:
        """The machine of the same name that runs now; `UnknownMachineError` while there is none."""
        return MachineSource(self._name, self._capture, self._is_followed, self._reading)

    @cached_property
    def ram(self) -> GuestRam:
        """The machine's RAM, read in place, or what a mirror of it holds."""
        ram = self._client().ram
        if self._reading is not None:
            ram.tell(self._reading)
        if self._is_followed:
            ram.fetch_later()
        return ram

    @cached_property
    def comparison(self) -> Comparison | None:
        """The comparison with the capture; None for none."""
        from qemu_bridge.client import Client

        from .comparison import Comparison

        if self._capture is None:
            return None
        return Comparison(self._keep(Client.connect(self._capture)).ram, self.ram)

    @cached_property
    def title(self) -> str:
        """``demo · 128 MiB RAM · Linux 6.1.0``."""
        try:
            kernel = self._client().kernel().value.release
        except GuestError:
            kernel = ""
        # Of a capture's path the folder: the name stands in titles and in names of files.
        name = self._name if "/" not in self._name else Path(self._name).resolve().name
        parts = [name, f"{format_size(self.ram.size)} RAM", *([f"Linux {kernel}"] if kernel else [])]
        compared = [f"compared with {Path(self._capture).name}"] if self._capture is not None else []
        return " · ".join(parts + compared)

    def refresh_title(self) -> str:
        """The title, asked for again: a guest that was booting may have named its kernel meanwhile."""
        vars(self).pop("title", None)
        return self.title

    def validate(self) -> None:
        """`MachineGoneError` when the machine has ended."""
        self._client().validate()

    def guest_work_s(self) -> float | None:
        """Processor time in seconds that the guest has used so far; None where that is not known."""
        return self._client().cpu_seconds()

    def page_map(self) -> PageMap:
        """A fresh page map."""
        return self._client().page_map().value
