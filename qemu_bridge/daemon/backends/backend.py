"""What stands behind a machine's RAM: the interface that every backend has.

A daemon serves RAM; whose it is makes little difference to it. `Backend` is that difference: how to reach whoever runs
the vCPUs, when that has ended, what it means to stop. A QEMU of ours dies with us (`started`), one that somebody else
started lives on (`attached`), a file with RAM in it has no vCPUs at all (`image`, `capture`).
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
    from ...machine.monitor import Monitor


class Shell(Protocol):
    """A root shell in the guest."""

    async def run(self, command: str | Sequence[str], timeout_s: float) -> tuple[bytes, int]:
        """(output, exit status) of `command`; `MachineError` where there is no shell or no answer."""

    def forget(self) -> None:
        """Wait for no earlier answer: the guest was reset."""


class Backend(Protocol):
    """What a machine's RAM belongs to.

    Attributes:
        origin: what the connection file says.
        pid: the process that may be stopped and looked into to find what it wrote, None for one that is not ours.
        is_still: there are no vCPUs, so RAM never changes.
        signals_ready: an init of ours says on the console when user space is up. Of any other guest no readiness
            signal exists, so it counts as ready.
        idle_timeout_s: end when no client was connected for so long; None to stay.
        symbols: a folder of the kernel's symbols to use instead of the cache that all machines share.
    """

    origin: Origin
    pid: int | None
    is_still: bool
    signals_ready: bool
    idle_timeout_s: float | None
    symbols: Path | None

    @property
    def exit_status(self) -> int | None:
        """Of the QEMU that has ended, negative for the signal that killed it; None where it cannot be known."""

    def connect(self, name: str) -> AbstractAsyncContextManager[Monitor]:
        """The way to its vCPUs, for as long as the context lasts; `MachineError` when it does not answer."""

    async def check_layout(self, monitor: Monitor, layout: RamLayout) -> None:
        """Raise `MachineError` where QEMU lays out RAM otherwise than `layout` says."""

    def shell(self) -> Shell:
        """The guest's root shell, or what says that there is none."""

    async def wait(self) -> None:
        """Return when it has ended by itself."""

    async def end(self, monitor: Monitor) -> None:
        """Do what `glassbox stop` means for it."""

    def describe_exit(self, asked: bool) -> str:
        """How it ended, in words; `asked` if somebody wanted it to."""


class NoShell:
    """Where there is no shell: says why."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    async def run(self, command: str | Sequence[str], timeout_s: float) -> NoReturn:
        """Raise `MachineError`."""
        raise MachineError(f"the machine {self._reason}")

    def forget(self) -> None:
        """There is nothing to forget."""
