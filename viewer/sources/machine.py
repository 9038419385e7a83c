"""A running machine, or a capture, as a source of the viewer."""

from __future__ import annotations

import threading
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from qemu_bridge.errors import GuestError
from qemu_bridge.memory.addresses import format_size
from qemu_bridge.wire.page_map import PageMap

if TYPE_CHECKING:
    from qemu_bridge.client import Client
    from qemu_bridge.memory.ram import GuestRam

    from .against import Against


class MachineSource:
    """A running machine as a `viewer.sources.source.Source`. A client serves one thread, so every thread gets its own."""

    def __init__(self, name: str, before: str | None = None) -> None:
        """Connect to machine `name`, compared with the capture `before` if one is named.

        `UnknownMachineError` if there is none, `UsageError` for a capture that is none or of another machine.
        """
        self._name, self._before = name, before
        self._local = threading.local()
        self._client()

    def _client(self) -> Client:
        from qemu_bridge.client import Client

        client: Client | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = Client.connect(self._name)
        return client

    def connect(self) -> Client:
        """A client of the caller's own, to ask the daemon with."""
        from qemu_bridge.client import Client

        return Client.connect(self._name)

    def reopen(self) -> MachineSource:
        """The machine of the same name that runs now; `UnknownMachineError` while there is none."""
        return MachineSource(self._name, self._before)

    @cached_property
    def ram(self) -> GuestRam:
        """The machine's RAM, read in place."""
        return self._client().ram

    @cached_property
    def against(self) -> Against | None:
        """The comparison with the capture; None for none."""
        from qemu_bridge.client import Client

        from .against import Against

        if self._before is None:
            return None
        self._other = Client.connect(self._before)
        return Against(self._other.ram, self.ram)

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
        against = [f"against {Path(self._before).name}"] if self._before is not None else []
        return " · ".join(parts + against)

    def retitle(self) -> str:
        """The title asked for anew: a guest that was booting has a kernel by now."""
        vars(self).pop("title", None)
        return self.title

    def validate(self) -> None:
        """`MachineGoneError` when the machine has ended."""
        self._client().validate()

    def guest_work_s(self) -> float | None:
        """Processor time that the guest has used so far; None where nobody knows."""
        return self._client().cpu_seconds()

    def page_map(self) -> PageMap:
        """A fresh page map."""
        return self._client().page_map().value
