"""The section SYMBOLS: addresses and names of code, ascending.

>>> table = SymbolTable(pack_symbols([(0x1000, "one"), (0x1040, "two")]).raw)
>>> table.name(0x1044)
'two+0x4'
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...errors import TraceError
from .format import Content, Section

SymbolRow = tuple[int, str]
"""Address and name; without a name, an address that ends the symbol before."""
MOST_SYMBOLS = 4 << 20
MOST_SYMBOL_BYTES = 256 << 20
"""Of one section: a kernel with modules has about 200,000 symbols in 8 MB."""
_NEWLINE = 0x0A


def pack_symbols(rows: Iterable[SymbolRow]) -> Content:
    """The section of `rows`: how many there are, their addresses as differences, and a line for each name."""
    ordered = sorted(rows, key=lambda row: row[0])
    addresses = np.array([address for address, _ in ordered], np.uint64)
    steps = np.diff(addresses, prepend=np.uint64(0))
    names = "\n".join(name for _, name in ordered).encode()
    return Content(
        Section.SYMBOLS, 0, np.uint64(len(ordered)).tobytes() + steps.tobytes() + names, len(ordered), level=3
    )


class SymbolTable:
    """Names by address."""

    def __init__(self, data: bytes | memoryview) -> None:
        """Of a section's bytes; `TraceError` if they are damaged."""
        count = int(np.frombuffer(data, "<u8", 1)[0]) if len(data) >= 8 else MOST_SYMBOLS + 1
        if count > MOST_SYMBOLS or not 8 + 8 * count <= len(data) <= MOST_SYMBOL_BYTES:
            raise _damaged()
        self._addresses = np.cumsum(np.frombuffer(data, "<u8", count, 8), dtype=np.uint64)
        self._text = bytes(data[8 + 8 * count :])
        breaks = np.flatnonzero(np.frombuffer(self._text, np.uint8) == _NEWLINE)
        if len(breaks) != max(count - 1, 0) or (self._text and not count):
            raise _damaged()
        if bool((self._addresses[1:] < self._addresses[:-1]).any()):
            raise _damaged()
        # Row n's name lies between edges n and n + 1.
        self._edges = np.concatenate(([-1], breaks, [len(self._text)]))[: count + 1]
        self._named = np.flatnonzero(np.diff(self._edges) > 1)

    def __len__(self) -> int:
        return len(self._addresses)

    def name(self, address: int) -> str:
        """``name+0xoffset`` of the symbol at or below `address`, the first of several; empty if there is none."""
        row = int(np.searchsorted(self._addresses, np.uint64(address), "right")) - 1
        if row < 0:
            return ""
        start = self._addresses[row]
        first = np.searchsorted(self._addresses, start, "left")
        named = self._named[np.searchsorted(self._named, first) :][:1].tolist()
        if not named or named[0] > row:
            return ""
        name = self._text[int(self._edges[named[0]]) + 1 : int(self._edges[named[0] + 1])].decode(errors="replace")
        offset = address - int(start)
        return name + (f"+{offset:#x}" if offset else "")


def _damaged() -> TraceError:
    return TraceError("the trace's table of symbols is damaged; give --symbols another source")
