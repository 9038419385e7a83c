"""The interface of all backends: how to reach the vCPUs, when they have ended, what stopping means.

A QEMU that the daemon started dies with it (`started`), an attached one keeps running (`attached`), a file with RAM in it has
no vCPUs (`image`, `capture`). Nothing else in the daemon depends on the kind of backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

from ...errors import MachineError
from ...memory.addresses import RamLayout
from ...wire.records import Origin

if TYPE_CHECKING:
    from ...machine.agent import Ended, Run
    from ...machine.monitor import Monitor


class Shell(Protocol):
    """A root shell in the guest."""

    async def run(self, command: str | Sequence[str], timeout_s: float) -> Ended:
        """Run `command`; `MachineError` where there is no shell or no answer."""

    def turn(self) -> AbstractAsyncContextManager[Run]:
        """A context in which nobody else's command runs; yields what runs one there."""


class Backend(Protocol):
    """What provides a machine's RAM and runs its vCPUs.

    Attributes:
        origin: the kind of backend, as the connection file names it.
        pid: QEMU's process, whose soft-dirty bits may be used; None unless the daemon started it.
        is_static: there are no vCPUs, so RAM never changes.
        signals_ready: the guest's init prints a line on the console when user space is up. For any other guest no
            readiness signal exists, so it counts as ready.
        idle_timeout_s: end after this long without a client; None: never.
        symbols: a folder of kernel symbols to use instead of the shared cache.
        caveats: what holds of every answer, as of a file that was cut short.
        is_whole: as in `GuestRam`.
    """

    origin: Origin
    pid: int | None
    is_static: bool
    signals_ready: bool
    idle_timeout_s: float | None
    symbols: Path | None
    caveats: tuple[str, ...]
    is_whole: bool

    @property
    def exit_status(self) -> int | None:
        """Exit status of the ended QEMU, negative for the signal that killed it; None where it is unknown."""

    def connect(self, name: str) -> AbstractAsyncContextManager[Monitor]:
        """A context with the connection to the vCPUs; `MachineError` when QEMU does not answer."""

    async def check_layout(self, monitor: Monitor, layout: RamLayout) -> None:
        """Raise `MachineError` if QEMU's RAM layout is not `layout`."""

    def shell(self) -> Shell:
        """The guest's root shell, or a `NoShell`."""

    async def wait(self) -> None:
        """Return when the backend has ended by itself."""

    async def end(self, monitor: Monitor) -> None:
        """End the backend, or detach from it: what `glassbox stop` means here."""

    def describe_exit(self, asked: bool) -> str:
        """How it ended, in words; `asked` if a client stopped it."""


class NoShell:
    """Stands in for a missing shell and says why it is missing."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    async def run(self, command: str | Sequence[str], timeout_s: float) -> NoReturn:
        """Raise `MachineError`."""
        raise MachineError(f"the machine {self._reason}")

    def turn(self) -> NoReturn:
        """Raise `MachineError`."""
        raise MachineError(f"the machine {self._reason}")
