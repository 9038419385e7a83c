"""The guest's registers as cells: names, places in p-code's register space, types in the IR.

A *cell* is what one value holds: a general register, a flag, the base of ``fs`` or ``gs``, an eighth of a ``zmm``, or eight bytes of a temporary.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...ir.types import Type
from .pcode import Varnode

GENERAL = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", *(f"r{number}" for number in range(8, 16)))
"""In the processor's own order."""
FLAGS = ("cf", "pf", "zf", "sf", "df", "of")
BASES = ("fs_base", "gs_base")
VECTORS = tuple(f"xmm{number}_{part}" for number in range(16) for part in range(8))
"""Eight bytes each, the lowest first: an ``xmm`` has two of them, a ``ymm`` four, a ``zmm`` eight."""

_FLAG_PLACES = {"cf": 0x200, "pf": 0x202, "af": 0x204, "zf": 0x206, "sf": 0x207, "df": 0x20A, "of": 0x20B}
_PLACES = {
    **{name: number * 8 if number < 8 else 0x80 + (number - 8) * 8 for number, name in enumerate(GENERAL)},
    **{"fs_base": 0x110, "gs_base": 0x118, "rip": 0x288},
    **{f"xmm{number}_{part}": 0x1200 + number * 0x40 + part * 8 for number in range(16) for part in range(8)},
}


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """A register's eight bytes, a flag, or eight bytes of temporaries."""

    space: str
    offset: int

    @property
    def name(self) -> str:
        """Of a register; empty for a temporary and for what is not lifted."""
        return _NAMES.get(self, "")

    @property
    def is_flag(self) -> bool:
        """Whether it is one bit that p-code holds in a byte."""
        return self.space == "register" and 0x200 <= self.offset < 0x220

    @property
    def type(self) -> Type:
        """Of the value that it holds."""
        return Type.BOOL if self.is_flag else Type.U64

    @property
    def size(self) -> int:
        """Bytes that p-code has for it."""
        return 1 if self.is_flag else 8


_NAMES = {Cell("register", place): name for name, place in (*_PLACES.items(), *_FLAG_PLACES.items())}
CELLS = {name: cell for cell, name in _NAMES.items()}
"""Every register by name. ``af`` is among them: it is written and never read, as p-code does not compute it; and ``rip``, for returns."""
HIDDEN = frozenset((CELLS["af"], CELLS["rip"]))
"""Registers that are no part of what a loop takes or gives."""


def cells_of(varnode: Varnode) -> Iterator[tuple[Cell, int, int]]:
    """The cells that a register or temporary lies in: each with the first byte in it and how many bytes."""
    offset, end = varnode.offset, varnode.offset + varnode.size
    while offset < end:
        is_flag = varnode.space == "register" and 0x200 <= offset < 0x220
        start = offset if is_flag else offset & ~7
        size = min(end, start + (1 if is_flag else 8)) - offset
        yield Cell(varnode.space, start), offset - start, size
        offset += size
