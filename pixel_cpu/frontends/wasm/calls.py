"""Which functions call which: sets of functions that call themselves through one another."""

from __future__ import annotations

from collections.abc import Sequence

from .module import Instruction, Module
from .state import State


def called(state: State, instruction: Instruction) -> Sequence[int]:
    """The functions that an instruction may call, imported ones too."""
    op, immediate, _ = instruction
    if op.name == "call":
        return (immediate,)
    return state.candidates(immediate[0]) if op.name == "call_indirect" else ()


def callees(module: Module, state: State, function: int) -> list[int]:
    """The functions of the module, not imported, that a function may call itself."""
    code = module.bodies[function - module.imported_functions].instructions
    found = {each for instruction in code for each in called(state, instruction)}
    return sorted(each for each in found if each >= module.imported_functions)


def is_recursive(module: Module, state: State, members: Sequence[int]) -> bool:
    """Whether a set of `components` calls itself."""
    return len(members) > 1 or members[0] in callees(module, state, members[0])


def components(module: Module, state: State, function: int) -> list[tuple[int, ...]]:
    """The functions that a function may call, also through others, and itself, in sets, callees first.

    Functions of one set call one another, directly or through others. (Tarjan's algorithm, with a stack of its own.)
    """
    if function < module.imported_functions:
        return []
    found: list[tuple[int, ...]] = []
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    path: list[int] = []
    on_path: set[int] = set()
    work: list[tuple[int, list[int]]] = []

    def enter(number: int) -> None:
        index[number] = low[number] = len(index)
        path.append(number)
        on_path.add(number)
        work.append((number, callees(module, state, number)))

    enter(function)
    while work:
        number, rest = work[-1]
        if rest:
            following = rest.pop()
            if following not in index:
                enter(following)
            elif following in on_path:
                low[number] = min(low[number], index[following])
            continue
        work.pop()
        if work:
            low[work[-1][0]] = min(low[work[-1][0]], low[number])
        if low[number] == index[number]:
            place = path.index(number)
            found.append(tuple(sorted(path[place:])))
            on_path -= set(path[place:])
            del path[place:]
    return found
