"""The last writer of a page of RAM: the plugin's record of it, as text.

>>> with client.heat() as heat:
...     client.name_writer(heat.writers[0x1234])
LastWriter(place='copy_page+0x12', pid=80, name='httpd')

Only the guest's own instructions are seen, and only while heat is counted: a page that a device wrote to last still names
the instruction before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tcg_plugin.layout import NO_OFFSET

from ...errors import GlassBoxError
from ...memory.addresses import RamLayout, RamOffset
from ...wire.records import Answer, Place, Process, Symbol

WRITER = np.dtype([("code", "<u8"), ("root", "<u8")])
"""`gb_writer` of trace_abi.h: the instruction, by address (kernel) or offset in the RAM file, and CR3."""

_ROOT = (1 << 52) - 1 & ~0x1FFF
"""A CR3's page number; bit 12 is page-table isolation's."""


@dataclass(frozen=True, slots=True)
class LastWriter:
    """Where the instruction is, as text, and the process in whose address space it ran; pid 0: not known.

    A kernel thread runs in the address space of the process before it.
    """

    place: str
    pid: int
    name: str

    def __str__(self) -> str:
        return f"last written by {self.place}" + (f" (pid {self.pid} {self.name})" if self.pid else "")


class Namer(Protocol):
    """What is asked of a `Client`."""

    def sym(self, symbol: str, /) -> Answer[tuple[Symbol, ...]]:
        """Symbols at an address."""

    def ps(self) -> Answer[tuple[Process, ...]]:
        """Processes of the guest."""

    def identify(self, place: str, /) -> Answer[Place]:
        """What is at a place."""


def name_writer(client: Namer, writer: np.void, ram_layout: RamLayout) -> LastWriter | None:
    """The last writer in `writer`, a row of `Heat.writers`; None if no store was seen.

    Parts that cannot be resolved now are left out; no error is raised for that.
    """
    code, root = int(writer["code"]), int(writer["root"])
    if not code and not root:
        return None
    try:
        found = [each for each in client.ps() if _is_of(each, root)]
    except GlassBoxError:
        found = []
    pid, name = (found[0].pid, found[0].name) if found else (0, "")
    return LastWriter(_name_code(client, code, pid, ram_layout), pid, name)


def _is_of(process: Process, root: int) -> bool:
    return process.page_table is not None and process.page_table & _ROOT == root & _ROOT


def _name_code(client: Namer, code: int, pid: int, ram_layout: RamLayout) -> str:
    if code == NO_OFFSET:
        return "code outside RAM"
    try:
        if code >> 63:
            return _name_symbol(client.sym(f"{code:#x}").value) or f"{code:#x}"
        place = client.identify(f"{ram_layout.to_physical(RamOffset(code)):#x}").value
    except GlassBoxError:
        return f"{code:#x}"
    for mapping in place.mappings:
        if mapping.pid == pid or not pid:
            return f"{mapping.virtual:#x} in {mapping.area or 'memory without a name'}"
    return (place.symbol and _name_symbol((place.symbol,))) or f"code at physical {place.physical:#x}"


def _name_symbol(symbols: Sequence[Symbol]) -> str:
    return f"{symbols[0].name}{symbols[0].offset:+#x}" if symbols else ""
