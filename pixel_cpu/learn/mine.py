"""Hot loops of a trace, joined of its cyclic paths and lifted: ``glassbox learn mine``.

A cyclic path is one way round a loop. Paths that share a block are ways round the same loop: the hottest path chooses the block that most
instructions of other paths go through, and that is the loop's head. Loops inside belong to it. Where the loop is entered elsewhere, it is the guest that
comes to the head; from there on each round is a whole one.

>>> with mine(Path("work.gbt")) as found:
...     for loop in find_loops(found, naming, count=3):
...         print(loop.share, loop.symbol, loop.live_in, loop.refused)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from qemu_bridge.trace.analysis.naming import Naming
from qemu_bridge.trace.file.block_table import BlockTable
from tcg_plugin.layout import NO_OFFSET

from ..errors import IrreducibleError, LiftError
from ..frontends.x86 import LiftedLoop, MachineLoop, lift
from .code import Placed, place_path
from .successors import Successors

if TYPE_CHECKING:
    from qemu_bridge.trace.analysis.mining import HotPath, Mined

MOST_PATHS = 1000
"""Hot paths that loops are made of."""
_MOST_HEADS = 4
Known = Mapping[int, tuple[BlockTable, int]]
"""Of each block its dictionary and its number there."""


@dataclass(frozen=True, slots=True)
class GuestLoop:
    """A hot loop of a trace.

    Attributes:
        head: linear address of its first instruction, in the process where it was first seen.
        symbol: name of that place, or its file and offset; empty where it has none.
        root: page-table root that most of it ran under.
        process: the process with that root; empty if it is not known.
        ring: the highest ring of its blocks.
        paths: ways round it that were joined.
        rounds: how often it was gone round, on all of them.
        executed: instructions in these rounds, with those of loops inside.
        share: the part of all instructions of the trace, without loops inside that are listed themselves.
        length: instructions in the loop.
        live_in: registers that it may read before it writes them.
        live_out: registers that it changes and that may be read behind it, or in its next round.
        exits: addresses of the instructions behind it.
        left_out: instructions that are not lifted, with the reason: the loop is left in front of them.
        refused: why the loop is not lifted at all; empty where it is.
    """

    head: int
    symbol: str
    root: int
    process: str
    ring: int
    paths: int
    rounds: int
    executed: int
    share: float
    length: int
    live_in: tuple[str, ...]
    live_out: tuple[str, ...]
    exits: tuple[int, ...] = ()
    left_out: tuple[str, ...] = ()
    refused: str = ""
    lifted: LiftedLoop | None = None


def find_loops(
    found: Mined,
    naming: Naming | None = None,
    count: int = 50,
    root: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[GuestLoop]:
    """The hottest loops of a trace, the one with the most instructions first; of one page-table root or all.

    `progress` gets the number of loops that are done. Raises `UsageError` where pypcode is not installed.
    """
    naming = naming or Naming()
    paths = found.paths(MOST_PATHS, root)
    known = found.known(sorted({block for path in paths for block in path.ids}))
    placed = [(path, place_path(path, known)) for path in paths]
    successors = Successors(found)
    for number, group in enumerate(_groups([(path, code) for path, code in placed if code is not None])):
        if number == count:
            return
        yield _loop(found, naming, successors, group, known)
        if progress is not None:
            progress(number + 1)


@dataclass
class _Group:
    """Ways round one loop, and paths of loops inside with the block where they begin."""

    head: int
    own: list[tuple[HotPath, Placed]]
    inner: list[tuple[int, tuple[HotPath, Placed]]]


def _groups(paths: list[tuple[HotPath, Placed]]) -> Iterator[_Group]:
    """Paths by the loop that they are ways round of, hottest first; each belongs to one.

    Only blocks of the loop's own function count: a function that many call would make one loop of all.
    """
    weights: dict[int, int] = {}
    through: dict[int, list[int]] = {}
    for number, (path, code) in enumerate(paths):
        for block in code.own:
            weights[block] = weights.get(block, 0) + path.instructions
            through.setdefault(block, []).append(number)
    taken: set[int] = set()
    for number, (_, code) in enumerate(paths):
        if number in taken:
            continue
        # Of blocks that all the same goes through the lowest one, which most often is where the compiler begins.
        block = max(code.own, key=lambda each: (weights[each], -code.addresses[each]))
        joined = [other for other in through[block] if other not in taken]
        taken |= set(joined)
        own = [paths[other] for other in joined]
        for one, each in own:
            for other in each.own:
                weights[other] -= one.instructions
        starts = {one.ids[place] for one, _ in own for place in one.loops}
        hottest = max(one.total for one, _ in own)
        inner = [
            (start, paths[other])
            for start in sorted(starts)
            for other in through.get(start, [])
            if other not in joined and paths[other][0].total <= hottest
        ]
        yield _Group(block, own, inner)


def _loop(found: Mined, naming: Naming, successors: Successors, group: _Group, known: Known) -> GuestLoop:
    machine_loop = _machine_loop(group)
    hottest = max((path for path, _ in group.own), key=lambda path: path.instructions)
    instructions = sum(path.instructions for path, _ in group.own)
    lifted, refused = _lifted(machine_loop, successors)
    machine_loop = lifted.machine_loop if lifted else machine_loop
    return GuestLoop(
        head=machine_loop.head,
        symbol=naming.symbol(machine_loop.head) or _in_file(naming, group, known, machine_loop.head),
        root=hottest.root,
        process=naming.process(hottest.root),
        ring=hottest.ring,
        paths=len(group.own),
        rounds=sum(path.rounds for path, _ in group.own),
        executed=sum(path.total for path, _ in group.own),
        share=instructions / max(1, found.instructions),
        length=len(machine_loop.instructions),
        live_in=lifted.live_in if lifted else (),
        live_out=lifted.live_out if lifted else (),
        exits=tuple(each.address for each in lifted.exits) if lifted else (),
        left_out=tuple(f"{place}: {reason}" for place, reason in lifted.refused) if lifted else (),
        refused=refused,
        lifted=lifted,
    )


def _in_file(naming: Naming, group: _Group, known: Known, head: int) -> str:
    """The name of the block of user code with the head, by its page."""
    for _, code in sorted(group.own, key=lambda each: -each[0].instructions):
        for block, address in code.addresses.items():
            table, number = known[block]
            into, offset = head - address, int(table.offsets[number])
            if 0 <= into < int(table.bytes[number]) and offset != NO_OFFSET:
                return naming.file(offset + into, table.code(number)[into:])
    return ""


def _lifted(loop: MachineLoop, successors: Successors) -> tuple[LiftedLoop | None, str]:
    """The loop in the IR, or why it is not lifted. A loop inside that is entered in its middle may be the better head."""
    tried: set[int] = set()
    refused = ""
    while loop.head not in tried and len(tried) < _MOST_HEADS:
        tried.add(loop.head)
        try:
            return lift(loop, successors.live_at), ""
        except IrreducibleError as error:
            refused = refused or str(error)
            assert error.place is not None
            loop = replace(loop, head=error.place.address)
        except LiftError as error:
            return None, refused or str(error)
    return None, refused


def _machine_loop(group: _Group) -> MachineLoop:
    """The instructions of all ways round; a way whose code contradicts a hotter one is left out."""
    first = max(group.own, key=lambda each: each[0].instructions)[1]
    head = first.addresses[group.head]
    instructions: dict[int, bytes] = {}
    indirect: dict[int, tuple[int, ...]] = {}
    places = {group.head: head}
    own = sorted(group.own, key=lambda each: -each[0].instructions)
    # A path stands where a block of it stands already: the head, or where a loop inside begins.
    for block, (_, code) in [*((group.head, each) for each in own), *group.inner]:
        if block not in places:
            continue
        moved = code.moved(places[block] - code.addresses[block])
        if all(instructions.get(at, bytes_) == bytes_ for at, bytes_ in moved.instructions.items()):
            instructions |= moved.instructions
            places |= {each: at for each, at in moved.addresses.items() if each not in places}
            for at, targets in moved.indirect.items():
                indirect[at] = tuple(dict.fromkeys((*indirect.get(at, ()), *targets)))
    return MachineLoop(head, instructions, indirect)
