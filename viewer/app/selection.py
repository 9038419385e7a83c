"""The pinned byte: selecting it, and asking the daemon what it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from qemu_bridge.errors import UsageError
from qemu_bridge.memory.addresses import PAGE_SHIFT, PAGE_SIZE
from qemu_bridge.wire.records import Place, TypeLayout

from ..sources.queries import Topic
from ..view.inspector import guess_types
from .pick import PickResult, describe_byte
from .state import ViewerState

if TYPE_CHECKING:
    from qemu_bridge.client import Client

PLACE: Topic[Place] = Topic("place")
"""What the pinned byte belongs to; the key is its offset."""
FOLLOW: Topic[Place] = Topic("follow")
"""Where a pointer points, which is selected when it is known."""
TYPE: Topic[TypeLayout | None] = Topic("type")
"""The struct to read the pinned byte as; the key is the names asked for and the size."""


def activate(state: ViewerState, machine: int) -> None:
    """Let panels be about another of the window's machines, by its number; what was selected in the one before is not any more."""
    if machine != state.active_number:
        state.active_number, state.pin, state.pid, state.mapping_pid = machine, None, 0, 0
        state.wake()


def select(state: ViewerState, offset: int | None, machine: int | None = None) -> None:
    """Pin the byte at `offset` of a machine's RAM file, or nothing, and ask what it is; of the active machine unless one is given."""
    if machine is not None:
        activate(state, machine)
    if offset is not None and not 0 <= offset < len(state.source.ram.view):
        state.notify(f"RAM has no byte {offset:#x}; it ends at {len(state.source.ram.view):#x}", is_problem=True)
        return
    state.pin, state.type_name = offset, ""
    if offset is None:
        state.pid = 0
        state.wake()
        return
    picked = describe(state, state.active_number, offset)
    state.pid = picked.owner.pid if picked.owner is not None else 0
    state.open_panel("details")
    state.tab = "Inspector"
    ask_place(state)
    state.wake()


def pinned(state: ViewerState) -> PickResult | None:
    """What is known now of the pinned byte; None where there is none."""
    if state.pin is None:
        return None
    return describe(state, state.active_number, state.pin)


def describe(state: ViewerState, machine: int, offset: int) -> PickResult:
    """What is known now of a byte of one of the window's machines, whose name is said where there are several."""
    shown = state.machines[machine]
    picked = describe_byte(shown.scene, shown.source.ram, *divmod(offset, PAGE_SIZE))
    return picked if len(state.machines) == 1 else replace(picked, machine=machine, name=shown.name)


def ask_place(state: ViewerState) -> None:
    """Ask what the pinned byte belongs to."""
    picked = pinned(state)
    if picked is not None and picked.physical is not None:
        place = f"{picked.physical:#x}"
        state.queries.ask(PLACE, lambda client: client.identify(place).value, state.pin)


def ask_type(state: ViewerState, names: tuple[str, ...], size: int) -> None:
    """Ask for the layout of the first of `names`, or of another that is no larger than `size` bytes (0 for any)."""

    def first(client: Client) -> TypeLayout | None:
        for name in names:
            try:
                layout = client.type_layout(name).value
            except UsageError:
                continue
            # A cache of that very name holds it even where it is cut short: a task ends with its FPU state.
            if not size or layout.size <= size or name == names[0]:
                return layout
        return None

    state.queries.ask(TYPE, first, (names, size))


def slab_types(state: ViewerState, cache: str) -> tuple[str, ...]:
    """What to ask for: the user's choice, or what objects of `cache` may be."""
    return (state.type_name,) if state.type_name else tuple(guess_types(cache))


def neighbour(state: ViewerState, step: int) -> int | None:
    """The byte at the pinned one's place in the next or previous page of its owner and class; None, with a message, for none."""
    if state.pin is None or state.scene.page_map is None:
        state.notify("select a byte first: click on it")
        return None
    entries = state.scene.page_map.entries
    page = state.pin >> PAGE_SHIFT
    same = entries["page_class"] == entries["page_class"][page]
    if entries["owner_id"][page]:
        same = same & (entries["owner_id"] == entries["owner_id"][page])
    pages = np.flatnonzero(same)
    if len(pages) < 2:
        state.notify("this is the only page of its kind and owner")
        return None
    here = int(np.searchsorted(pages, page))
    return (int(pages[(here + step) % len(pages)]) << PAGE_SHIFT) + (state.pin & PAGE_SIZE - 1)
