"""What a trace's header says of the guest at the beginning: which kernel, processes and modules there were.

A trace holds addresses. Whoever names them later can tell by this note which of the names were true then: page tables and
the memory of modules are used again, and a guest boots again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from ...errors import GlassBoxError

if TYPE_CHECKING:
    from ...wire.records import Answer, KernelInfo, Module, Process

logger = logging.getLogger(__name__)

_KEY = "guest"


class GuestNote(msgspec.Struct, frozen=True):
    """What there was in the guest when a recording began.

    Attributes:
        kernel: build id and KASLR offset; the same while the guest does not boot again.
        processes: (page-table root, pid) of each process.
        modules: (name, base address) of each kernel module.
        names: of each of `processes`, its name; none in traces of older releases.
    """

    kernel: str = ""
    processes: tuple[tuple[int, int], ...] = ()
    modules: tuple[tuple[str, int], ...] = ()
    names: tuple[str, ...] = ()


class Guest(Protocol):
    """What is asked of a machine's client about its guest."""

    def kernel(self) -> Answer[KernelInfo]:
        """The running kernel."""

    def ps(self) -> Answer[tuple[Process, ...]]:
        """Its processes."""

    def modules(self) -> Answer[tuple[Module, ...]]:
        """Its modules."""


class KernelIdentity(Protocol):
    """What tells one boot of a kernel from another."""

    @property
    def build_id(self) -> str:
        """Of its build, in hex."""

    @property
    def kaslr_offset(self) -> int:
        """In bytes."""


def identity_of(kernel: KernelIdentity) -> str:
    """`GuestNote.kernel` of a running kernel."""
    return f"{kernel.build_id}+{kernel.kaslr_offset:#x}"


def note_guest(guest: Guest) -> dict[str, Any]:
    """The note of now, as an entry of a trace's header; nothing while no kernel runs."""
    try:
        kernel = guest.kernel().value
        processes = [(row.page_table, row.pid, row.name) for row in guest.ps().value if row.page_table is not None]
        roots, names = tuple((root, pid) for root, pid, _ in processes), tuple(name for *_, name in processes)
        modules = tuple((module.name, int(module.base)) for module in guest.modules().value)
    except GlassBoxError as error:
        logger.debug("nothing of the guest is noted: %s", error)
        return {}
    return {_KEY: msgspec.to_builtins(GuestNote(identity_of(kernel), roots, modules, names))}


def read_note(about: Mapping[str, Any]) -> GuestNote | None:
    """The note in the header `about` of a trace; None where there is none."""
    try:
        return msgspec.convert(about[_KEY], GuestNote) if _KEY in about else None
    except msgspec.ValidationError as error:
        logger.debug("the note of the guest is invalid: %s", error)
        return None
