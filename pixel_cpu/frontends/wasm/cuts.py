"""Where functions are cut into parts: at calls that end a part, and at blocks that hold one.

Parts are numbered by the code alone, so that whatever runs a function stops in the same places and another can go on from there.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Set
from dataclasses import dataclass

from .calls import called
from .module import Module
from .state import State

MAX_PART_BLOCKS = 30
"""Blocks inside each other in a part."""


class Role(enum.Enum):
    """What begins with a part."""

    ENTRY = "entry"
    """The function."""
    AGAIN = "again"
    """A loop's body."""
    THEN = "then"
    ELSE = "else"
    AFTER = "after"
    """What follows a block or a call."""


@dataclass(frozen=True)
class Cuts:
    """How one function is cut: blocks that are split and calls that end a part, by their places, and the parts in their order."""

    blocks: Set[int]
    calls: Set[int]
    places: dict[tuple[Role, int], int]


def cut(module: Module, state: State, number: int, is_stop: Callable[[int], bool]) -> Cuts:
    """Where a function of the module is cut; `is_stop` says which functions end a part that calls them."""
    blocks: set[int] = set()
    calls: set[int] = set()
    open_: list[int] = []
    whole = 0
    """Open blocks that are not split."""
    instructions = module.bodies[number - module.imported_functions].instructions
    for place, instruction in enumerate(instructions):
        name = instruction.op.name
        if name in _OPENS:
            open_.append(place)
            whole += 1
            if whole > MAX_PART_BLOCKS:
                blocks.update(open_)
                whole = 0
        elif name == "end" and open_:
            whole -= open_.pop() not in blocks
        elif name in _CALLS and any(map(is_stop, called(state, instruction))):
            calls.add(place)
            blocks.update(open_)
            whole = 0
    places: dict[tuple[Role, int], int] = {(Role.ENTRY, 0): 0}
    for place in sorted(blocks | calls):
        name = instructions[place].op.name
        roles = _ROLES.get(name, (Role.AFTER,))
        for role in roles:
            places[role, place] = len(places)
    return Cuts(blocks, calls, places)


_OPENS = frozenset({"block", "loop", "if"})
_CALLS = frozenset({"call", "call_indirect"})
_ROLES = {"loop": (Role.AGAIN,), "if": (Role.THEN, Role.ELSE, Role.AFTER)}
