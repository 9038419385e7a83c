"""What lowering must know of a body before it begins: which locals each block sets, which labels branches name, how deep blocks nest."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import WasmError
from .module import Body

MAX_BLOCKS = 90
"""Blocks inside each other; the IR has two regions for some of them."""


@dataclass(frozen=True)
class Block:
    """A block, loop, if, or the whole body: numbers of the locals that are set inside, whether a branch names its label."""

    locals: tuple[int, ...]
    is_target: bool


def blocks(body: Body, deepest: int = MAX_BLOCKS) -> dict[int, Block]:
    """Each block by the place of its first instruction, the body by -1. `WasmError` where they nest deeper than `deepest`."""
    found: dict[int, Block] = {}
    open_: list[tuple[int, set[int], list[bool]]] = [(-1, set(), [False])]
    for place, (op, immediate, offset) in enumerate(body.instructions):
        match op.name:
            case "block" | "loop" | "if":
                open_.append((place, set(), [False]))
                if len(open_) > deepest + 1:
                    raise WasmError(f"blocks nest deeper than {deepest}, which is not supported", offset)
            case "end":
                begin, own, target = open_.pop()
                found[begin] = Block(tuple(sorted(own)), target[0])
                if open_:
                    open_[-1][1].update(own)
            case "local.set" | "local.tee":
                open_[-1][1].add(immediate)
            case "br" | "br_if":
                open_[-1 - immediate][2][0] = True
            case "br_table":
                for depth in immediate:
                    open_[-1 - depth][2][0] = True
    return found
