"""What an overlay is: a name, columns, and a function that reads rows out of a guest's memory.

>>> @dataclass(frozen=True, slots=True)
... class Uptime:
...     seconds: int
>>> def read(context, budget):
...     yield Uptime(context.objects.unsigned(context.kernel.address_of("jiffies_64")) // 250)
>>> OVERLAY = Overlay("uptime", "How long the guest has run.", ("seconds",), read)

Anything with these four attributes will do, a module too. Rows are frozen dataclasses of numbers, texts and tuples of
them; each column names a field of theirs, behind a colon optionally how to print it (``"start:#x"``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..budget import Budget
from ..errors import GlassBoxError
from ..objects import KernelObjects
from ..paging import PageTables
from ..ram import GuestRam
from ..symbols import KernelSymbols

if TYPE_CHECKING:
    from ..volatility_adapter import VolatilityAdapter

Row = Any
"""A frozen dataclass."""
Item = TypeVar("Item")
Result = TypeVar("Result")


class OverlayContext:
    """What an overlay may look at. Nothing here can write.

    Attributes:
        ram: the guest's memory.
        kernel: its kernel's symbols and types.
        objects: its kernel's structures.
    """

    def __init__(
        self, ram: GuestRam, kernel: KernelSymbols, adapter: Callable[[], VolatilityAdapter] | None = None
    ) -> None:
        """`adapter` makes the `VolatilityAdapter`, should an overlay ask for it."""
        self.ram = ram
        self.kernel = kernel
        self.objects = KernelObjects(ram, kernel)
        self._make_adapter = adapter

    @cached_property
    def adapter(self) -> VolatilityAdapter:
        """Volatility on this guest, loaded when first asked for."""
        from ..volatility_adapter import VolatilityAdapter

        return self._make_adapter() if self._make_adapter else VolatilityAdapter(self.ram, self.kernel)

    @property
    def page_tables(self) -> PageTables:
        """The kernel's address space."""
        return self.kernel.page_tables

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
        """Yields the rows; what it cannot read it leaves out and says so with `Budget.skip`."""


@dataclass(frozen=True, slots=True)
class BuiltOverlay:
    """An overlay made from its four parts."""

    name: str
    summary: str
    columns: tuple[str, ...]
    rows: Callable[[OverlayContext, Budget], Iterable[Row]]


def each(items: Iterable[Item], make: Callable[[Item], Result], budget: Budget, what: str) -> Iterator[Result]:
    """Yield `make` of every item; one that cannot be read is left out and noted as a `what`."""
    for item in items:
        budget.spend()
        try:
            made = make(item)
        except GlassBoxError as error:
            budget.skip(f"a {what} cannot be read: {str(error).split(';')[0]}")
            continue
        yield made
