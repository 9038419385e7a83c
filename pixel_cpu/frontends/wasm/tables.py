"""Functions of a module as tables of steps, which an interpreter runs in rounds with the frames and parts of `resumable`.

What such a table cannot say is left to translation, for which `tables` gives None: operations of the IR that are called through a table,
frames and memories that are too large.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cuts import Cuts, cut
from .flatten import Flattener
from .frames import frame_size
from .in_place import in_place
from .module import PAGE_BYTES, Module
from .state import Area, State
from .state_steps import Unknown

STEP = np.dtype([("step", "u2"), ("to", "u2"), ("a", "u2"), ("b", "u2"), ("more", "u8")])
"""A step: its number, the cell it sets, its operands, and a constant, offset or place in the code."""
FUNCTION = np.dtype(
    [
        ("place", "u4"),
        ("size", "u4"),
        ("parameters", "u4"),
        ("results", "u4"),
        ("kind", "u4"),
        ("type", "i4"),
        ("part", "i4"),
    ]
)
"""A function: its first step, cells of its frame, whether it is `DIRECT`, `MEMBER` or of the `HOST`, its type, its first part."""
ELEMENTS = np.dtype([(name, "i8") for name in ("buffer", "stride", "sizes", "minimum", "most")])
"""A table: the place of its buffer, elements between those of two lanes, the place of its sizes or -1, elements at the start and at most."""
SEGMENT = np.dtype([(name, "i8") for name in ("buffer", "length", "dropped")])
"""A segment, those of data first: the place of its buffer, what is left of it at the start, the place of what lanes have dropped or -1."""
DIRECT, MEMBER, HOST = range(3)
MAX_CELLS = 1 << 15
"""Of a frame; larger ones are translated."""


@dataclass(frozen=True)
class Tables:
    """`code` of dtype `STEP` and the byte of the file that each is from, where each part begins, rows of `FUNCTION`, places that tables of
    branches go to, rows of `ELEMENTS` and `SEGMENT`, whose buffers are numbered as `State.memories`. `owners`, `entry` and `sizes` are those of `Resumable`. `scratch` are cells for frames of direct functions."""

    code: NDArray[Any]
    offsets: NDArray[np.uint32]
    parts: NDArray[np.uint32]
    functions: NDArray[Any]
    branches: NDArray[np.uint32]
    elements: NDArray[Any]
    segments: NDArray[Any]
    owners: tuple[int, ...]
    entry: int
    sizes: dict[int, int]
    scratch: int


def tables(module: Module, state: State, function: int, members: Iterable[int], direct: Iterable[int]) -> Tables | None:
    """Tables for a call of `function`; `members` and `direct`, callees first, are those of `stops`. None where translation must do."""
    members, direct = sorted(members), list(direct)
    if state.memory and state.memory.stride > 0xFFFF * PAGE_BYTES:
        return None
    if any(in_place(module, number) for number in state.in_tables):
        return None
    sizes = {number: frame_size(module, number) for number in (*members, *direct)}
    if max(sizes.values()) > MAX_CELLS:
        return None
    is_member = frozenset(members)
    kinds: dict[Any, int] = {}
    functions = np.zeros(len(module.functions), FUNCTION)
    for number, row in enumerate(functions):
        kind = module.type_of(number)
        row["type"] = kinds.setdefault(kind, len(kinds))
        row["parameters"], row["results"] = len(kind.parameters), len(kind.results)
        row["kind"] = HOST if number < module.imported_functions else MEMBER if number in is_member else DIRECT
    flat = Flattener(module, state, is_member, kinds)
    owners: list[int] = []
    try:
        for number in (*members, *direct):
            row = functions[number]
            row["size"], row["place"], row["part"] = sizes[number], len(flat.code), len(owners)
            found = Cuts(frozenset(), frozenset(), {})
            if number in is_member:
                found = cut(module, state, number, flat.is_stop)
                flat.parts += [0] * len(found.places)
                owners += [number] * len(found.places)
            flat.function(number, found, int(row["part"]))
    except Unknown:
        return None
    code = np.array(flat.code, STEP)
    return Tables(
        code,
        np.array(flat.offsets, np.uint32),
        np.array(flat.parts, np.uint32),
        functions,
        np.array(flat.branches or [0], np.uint32),
        np.array([_elements(each, flat.places) for each in state.tables] or [(0,) * 5], ELEMENTS),
        np.array(_segments(state, flat.places) or [(0,) * 3], SEGMENT),
        tuple(owners),
        int(functions[function]["part"]),
        {number: sizes[number] for number in members},
        _deepest(flat.nested, direct, sizes),
    )


def _elements(area: Area, places: dict[str, int]) -> tuple[int, int, int, int, int]:
    stride = 0 if area.is_shared else area.stride
    sizes = places[area.sizes.name] if area.sizes else -1
    return places[area.buffer.name], stride, sizes, area.minimum, area.stride


def _segments(state: State, places: dict[str, int]) -> list[tuple[int, int, int]]:
    found = []
    for what, count, held in (
        ("data", len(state.module.data), state.data),
        ("items", len(state.module.elements), state.items),
    ):
        for number in range(count):
            gone = state.gone(what, number)
            length = state.segment_length(what, number)
            found.append((places[held(number).name], length, places[gone.name] if gone else -1))
    return found


def _deepest(calls: dict[int, set[int]], direct: Iterable[int], sizes: dict[int, int]) -> int:
    """Cells for the frames of direct functions that are open at once."""
    needed: dict[int, int] = {}
    for number in direct:  # callees first
        needed[number] = sizes[number] + max((needed.get(each, 0) for each in calls[number]), default=0)
    return max(needed.values(), default=0)
