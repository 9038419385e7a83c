"""Kernel structures as Volatility objects, and the ways to walk from one to the next.

Lists and maple trees are walked here and not by Volatility: bounded, checked against their back pointers, and read
again when they contradict themselves, for the guest runs on meanwhile.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from volatility3.framework import contexts, exceptions
from volatility3.framework.symbols import linux
from volatility3.framework.symbols.linux.extensions import network as _network  # noqa: F401  # linux expects it loaded

from ..addresses import PAGE_SIZE, PhysicalAddress
from ..errors import GlassBoxError
from ..paging import PageTables
from ..ram import GuestRam
from ..symbols import KernelSymbols
from .layers import KernelLayer, KernelLayer5, RamLayer


class TornError(Exception):
    """The guest changed a structure while it was read. No `GlassBoxError`: it ends a walk, as `OutOfTimeError` does."""


BAD_MEMORY = (
    TornError,
    *(exceptions.VolatilityException, GlassBoxError, ArithmeticError, LookupError, ValueError, TypeError),
    *(AttributeError, RecursionError),
)
"""What may come of objects made from bytes that are not what they should be."""

ATTEMPTS = 3
MAX_NAME = 255
_MAX_NODES = 1 << 16
_MAX_ENTRIES = 1 << 17
_MAX_TREE_HEIGHT = 31
_U64 = (1 << 64) - 1
_XA_NODE_MARK, _XA_MARK_MASK = 2, 3
_MAPLE_NODE_MASK, _MAPLE_TYPE_SHIFT, _MAPLE_TYPE_MASK = 0xFF, 3, 0xF
_MAPLE_LEAF_64, _MAPLE_RANGE_64, _MAPLE_ARANGE_64 = 1, 2, 3

Struct = Any
"""A Volatility object: an instance of a kernel type."""


class KernelMemory:
    """The kernel's structures in guest RAM, in one Volatility context.

    Attributes:
        layer: the kernel's address space.
        symbols: the kernel's names.
    """

    def __init__(self, ram: GuestRam, symbols: KernelSymbols, skip: Callable[[str], None]) -> None:
        """Load the types of `symbols`; `NoTypesError` when there are none. `skip` is told what a walk leaves out."""
        self.symbols = symbols
        self._ram = ram
        self._skip = skip
        self._context = contexts.Context()
        self.layer = self._add_layers()
        self._kernel = self._add_symbols()

    def object(self, type_name: str, address: int) -> Struct:
        """The `type_name` at kernel address `address`; its members are read when they are asked for."""
        return self._kernel.object(type_name, offset=address, absolute=True)

    def has_type(self, type_name: str) -> bool:
        """Whether this kernel has a struct of that name."""
        return bool(self._kernel.has_type(type_name))

    def offset_of(self, type_name: str, member: str) -> int:
        """Bytes from the start of `type_name` to its `member`."""
        return int(self._kernel.get_type(type_name).relative_child_offset(member))

    def linked(self, head: int, type_name: str, member: str, limit: int) -> Iterator[Struct]:
        """Yield the `type_name` structs that a ``list_head`` at `head` links by their `member`, at most `limit`."""
        back = self.offset_of(type_name, member)
        for link in self.links(head, limit):
            yield self.object(type_name, link - back)

    def links(self, head: int, limit: int) -> list[int]:
        """Addresses of the links of a list; read again when next and prev disagree, cut short when they still do."""
        head = self.layer.canonical(head)
        for attempt in range(ATTEMPTS):
            found: list[int] = []
            with contextlib.suppress(exceptions.InvalidAddressException):
                previous: int = head
                link = self.words(head, 2)[0]
                while link != head and len(found) < limit:
                    following, back = self.words(link, 2)
                    if back != previous:
                        break
                    found.append(link)
                    previous, link = link, following
                if link == head:
                    return found
            if attempt + 1 < ATTEMPTS:
                self.layer.forget()
        self._skip(f"the list at {head:#x} breaks off after {len(found)} entries")
        return found

    def words(self, address: int, count: int) -> list[int]:
        """`count` 64-bit words at `address`."""
        data = self.layer.read(address, 8 * count)
        return [int.from_bytes(data[at : at + 8], "little") for at in range(0, 8 * count, 8)]

    def string(self, address: int, limit: int) -> str:
        """The zero-terminated text at `address`, at most `limit` bytes of it."""
        limit = min(limit, MAX_NAME)
        room = PAGE_SIZE - address % PAGE_SIZE
        data: bytes = self.layer.read(address, min(limit, room))
        if b"\0" not in data and room < limit:
            data += self.layer.read(address + room, limit - room)
        return data.split(b"\0", 1)[0].decode("utf-8", "replace")

    def maple_entries(self, root: int) -> Iterator[int]:
        """Yield what a maple tree holds, in order (``lib/maple_tree.c``, mt_dump_node)."""
        if root & _XA_MARK_MASK != _XA_NODE_MARK:
            return
        # Depth first: the entries still to do, the next one last.
        pending = [(root, 0, _U64, 1)]
        nodes = found = 0
        while pending:
            entry, first, last, height = pending.pop()
            if height == 0:
                found += 1
                yield entry
                continue
            nodes += 1
            if nodes > _MAX_NODES or found >= _MAX_ENTRIES or height > _MAX_TREE_HEIGHT:
                self._skip(f"the tree of memory areas breaks off after {found}")
                return
            kind = entry >> _MAPLE_TYPE_SHIFT & _MAPLE_TYPE_MASK
            if kind not in (_MAPLE_LEAF_64, _MAPLE_RANGE_64, _MAPLE_ARANGE_64):
                raise TornError("a tree of memory areas holds a node of unknown kind")
            below = 0 if kind == _MAPLE_LEAF_64 else height + 1
            slots = self._maple_slots(entry & ~_MAPLE_NODE_MASK, kind, first, last)
            pending.extend((slot, low, high, below) for slot, low, high in reversed(slots))

    def _maple_slots(self, node: int, kind: int, first: int, last: int) -> list[tuple[int, int, int]]:
        """The slots in use of a node that covers `first` to `last`, each with what it covers."""
        variant = "maple_arange_64" if kind == _MAPLE_ARANGE_64 else "maple_range_64"
        layout = self._kernel.get_type(variant)
        _, pivot_type = layout.vol.members["pivot"]
        _, slot_type = layout.vol.members["slot"]
        pivots = self.words(node + layout.relative_child_offset("pivot"), pivot_type.vol.count)
        slots = self.words(node + layout.relative_child_offset("slot"), slot_type.vol.count)
        used = []
        for number, slot in enumerate(slots):
            high = pivots[number] if number < len(pivots) else last
            if (high == 0 and number > 0) or not first <= high <= last:
                break
            if slot:
                used.append((slot, first, high))
            if high == last:
                break
            first = high + 1
        return used

    def page_tables(self, root: PhysicalAddress) -> PageTables:
        """The address space whose top table is at `root`."""
        return PageTables(self._ram, root, self.symbols.page_tables.levels)

    def physical(self, pointer: Struct) -> PhysicalAddress | None:
        """Where in guest-physical memory a kernel pointer leads, None where nowhere."""
        return self.symbols.page_tables.translate(self.layer.canonical(int(pointer)))

    def _add_layers(self) -> KernelLayer:
        tables, context = self.symbols.page_tables, self._context
        context.add_layer(RamLayer(context, "glassbox.ram", "ram", self._ram))
        settings = {
            "memory_layer": "ram",
            "page_map_offset": tables.root,
            "kernel_virtual_offset": self.symbols.kaslr_offset,
        }
        for key, value in settings.items():
            context.config[f"glassbox.kernel.{key}"] = value
        layer = (KernelLayer5 if tables.levels == 5 else KernelLayer)(
            context, "glassbox.kernel", "kernel_layer", tables
        )
        context.add_layer(layer)
        return layer

    def _add_symbols(self) -> Any:  # noqa: ANN401  # a Volatility module
        table = linux.LinuxKernelIntermedSymbols(
            self._context, "glassbox.symbols", "symbols", isf_url=self.symbols.core_isf_path.as_uri(), validate=False
        )
        self._context.symbol_space.append(table)
        # Volatility's own inode.get_pages looks for a module of this very name.
        return contexts.Module.create(
            self._context,
            module_name="kernel",
            layer_name=self.layer.name,
            offset=self.symbols.kaslr_offset,
            symbol_table_name="symbols",
        )
