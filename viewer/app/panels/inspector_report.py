"""What the inspector knows of a byte, as text: lines for the panel, and all of it for a bug report."""

from __future__ import annotations

from qemu_bridge.memory.addresses import PAGE_SIZE, format_size
from qemu_bridge.wire.records import Place, PlaceMapping
from viewer.app.pick import PickResult
from viewer.app.state import ViewerState
from viewer.view.inspector import hex_rows, typed_values


def place_lines(place: Place) -> list[str]:
    """What is known of a place, a name and words on each line; mappings are left out."""
    lines = [f"physical  {place.physical:#x}, frame {place.frame:#x}"]
    if place.kernel_address is not None:
        lines.append(f"kernel  {place.kernel_address:#x}")
    if place.symbol is not None:
        lines.append(f"symbol  {place.symbol.name}" + (f" + {place.symbol.offset:#x}" if place.symbol.offset else ""))
    if place.slab is not None:
        slab = place.slab
        lines.append(f"object  {slab.cache} #{slab.index}, {slab.size} bytes from {slab.start:#x}, {slab.offset:#x} in")
    if place.file:
        inside = "" if place.file_offset is None else f" + {place.file_offset:#x}"
        lines.append(f"file  {place.file}{inside}")
    if place.table_level:
        lines.append(f"table  level {place.table_level}")
    if place.order is not None:
        lines.append(f"block  2^{place.order} pages, {format_size(PAGE_SIZE << min(place.order, 40))}")
    for owner in place.owners:
        kind = "" if owner.kind == owner.name else f"{owner.kind} "
        lines.append(f"owner  {kind}{owner.name}" + (f" ({owner.pid})" if owner.pid else ""))
    lines += [f"skipped  {sentence}" for sentence in place.skipped]
    return lines


def mapping_line(row: PlaceMapping) -> str:
    """A mapping in one line: process, address, permissions, what is mapped."""
    return f"{row.name} ({row.pid})  {row.virtual:#x}  {row.permissions}  {row.area}"


def code_address(picked: PickResult, place: Place | None) -> int:
    """Where the code at the pinned byte runs: the kernel's address, else the first process's, else the offset."""
    if place is not None and place.symbol is not None and place.kernel_address is not None:
        return int(place.kernel_address)
    if place is not None and place.mappings:
        return int(place.mappings[0].virtual)
    return (picked.page << 12) + picked.offset


def report(state: ViewerState, picked: PickResult, place: Place | None) -> str:
    """All of it as text, for a bug report."""
    page = bytes(state.source.ram.view[picked.page << 12 : (picked.page + 1) << 12])
    lines = [state.source.title, f"{picked.page_class.label}, page {picked.page:#x} + {picked.offset:#05x}"]
    if place is not None:
        lines += [*place_lines(place), *(f"mapped  {mapping_line(row)}" for row in place.mappings)]
    lines += [f"{value.name}  {value.text}" for value in typed_values(page, picked.offset)]
    start = picked.offset & ~0xFF
    base = (picked.physical if picked.physical is not None else (picked.page << 12) + picked.offset) - picked.offset
    lines += ["", *hex_rows(page[start : start + 256], base + start)]
    return "\n".join(lines) + "\n"
