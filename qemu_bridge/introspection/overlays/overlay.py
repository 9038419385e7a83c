"""What an overlay is: a name, columns, and a function that reads rows out of a guest's memory.

>>> @dataclass(frozen=True, slots=True)
... class Uptime:
...     seconds: int
>>> def read(context, budget):
...     yield Uptime(context.objects.unsigned(context.kernel.address_of("jiffies_64")) // 250)
>>> OVERLAY = BuiltOverlay("uptime", "How long the guest has run.", ("seconds",), read)

Anything with these four attributes will do, a module too. Rows are frozen dataclasses of numbers, texts and tuples of
them; each column names a field of theirs, behind a colon optionally how to print it (``"start:#x"``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar, cast

from ...errors import GlassBoxError
from ...kernel.budget import Budget
from ...kernel.modules import GuestSymbols, ModuleReader
from ...kernel.objects import KernelObjects
from ...kernel.symbols import KernelSymbols
from ...memory.paging import PageTables
from ...memory.ram import GuestRam
from ...wire.trace_records import LearnedLoop

if TYPE_CHECKING:
    import msgspec
    from _typeshed import DataclassInstance

    from ...kernel.volatility_adapter import VolatilityAdapter

Row: TypeAlias = "DataclassInstance | msgspec.Struct"
"""A frozen dataclass, or a record of `wire.records`."""
Item = TypeVar("Item")
Result = TypeVar("Result")


class OverlayContext:
    """What an overlay reads from. Nothing here can write.

    Attributes:
        ram: the guest's memory.
        kernel: its kernel's symbols and types.
        objects: its kernel's structures.
        trace_path: the shared file of its trace plugin, None where there is none.
    """

    def __init__(self, ram: GuestRam, kernel: KernelSymbols, trace_path: Path | None = None) -> None:
        """Read the guest that runs `kernel`; `NoTypesError` when that carries no types."""
        self.ram = ram
        self.kernel = kernel
        self.trace_path = trace_path
        self.objects = KernelObjects(ram, kernel)
        self._modules = ModuleReader(self.objects)
        self._kept: dict[type, object] = {}

    def forget(self) -> None:
        """Drop all cached reads: later ones see the guest's current memory."""
        self.objects.forget()
        self._kept.clear()
        vars(self).pop("symbols", None)
        if (volatility := vars(self).get("volatility")) is not None:
            volatility.forget()

    def kept(self, kind: type[Result], read: Callable[[], Result]) -> Result:
        """What `read` gives, of a `kind` of its own; it is called once until `forget`."""
        if kind not in self._kept:
            self._kept[kind] = read()
        return cast(Result, self._kept[kind])

    @cached_property
    def symbols(self) -> GuestSymbols:
        """The symbols of the kernel and its modules as they are now."""
        return GuestSymbols(self.kernel, self._modules.read())

    @cached_property
    def volatility(self) -> VolatilityAdapter:
        """Volatility on this guest, loaded on first use."""
        # Imported here: loading Volatility takes longer than any overlay of ours.
        from ...kernel.volatility_adapter import VolatilityAdapter

        return VolatilityAdapter(self.ram, self.kernel)

    @property
    def page_tables(self) -> PageTables:
        """The kernel's address space."""
        return self.kernel.page_tables

    def learned_loops(self) -> tuple[LearnedLoop, ...]:
        """What the machine's learned loops have done so far; empty without any."""
        # Imported here: the layout of the shared file is a C header, which few workers read.
        from ...trace.recording.control import read_learned

        return () if self.trace_path is None else read_learned(self.trace_path)

    def has(self, feature: str) -> bool:
        """Whether the guest's kernel has a feature of `symbols.releases.DIFFERENCES`."""
        return self.kernel.has(feature)


class Overlay(Protocol):
    """What the registry accepts; `BuiltOverlay` is the simplest thing that is one."""

    @property
    def name(self) -> str:
        """What ``glassbox overlay NAME`` calls it: small letters, digits and hyphens."""

    @property
    def summary(self) -> str:
        """What it shows, in one sentence."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The fields that a table shows, in order."""

    @property
    def rows(self) -> Callable[[OverlayContext, Budget], Iterable[Row]]:
        """Yields the rows; notes what it cannot read with `Budget.skip`."""


@dataclass(frozen=True, slots=True)
class BuiltOverlay:
    """An overlay made from its four parts.

    A table that `is_never_empty` of a kernel that runs says so when it is: then the kernel still boots, or is unlike those known.
    """

    name: str
    summary: str
    columns: tuple[str, ...]
    rows: Callable[[OverlayContext, Budget], Iterable[Row]]
    is_never_empty: bool = False


def note_empty(budget: Budget, what: str) -> None:
    """Note that no row of the table `what` was found, though there must be some; unless a note says already what is missing."""
    if budget.complete:
        budget.skip(
            f"{what}: nothing was found, where a kernel that runs has some; does it still boot, or is its release new?"
        )


def each(items: Iterable[Item], make: Callable[[Item], Result], budget: Budget, what: str) -> Iterator[Result]:
    """Yield `make` of every item; skips one that cannot be read, with a note that calls it a `what`."""
    for item in items:
        budget.spend()
        try:
            made = make(item)
        except GlassBoxError as error:
            budget.skip_unread(f"a {what}", error)
            continue
        yield made
