"""What one frame holds, counted: executed blocks and cyclic paths, by page-table root, as columns for the miner's tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tcg_plugin.layout import Event

from ..file.block_table import BlockTable
from ..file.frame import Frame
from ..file.native import U16, U32, U64
from ..file.reader import TraceReader
from .cycles import CycleFinder, Cycles, count_blocks

Columns = dict[str, npt.NDArray[Any]]

MOST_PATHS = 1000
"""Cyclic paths kept of one frame, the hottest by their own instructions, and as many by all."""

_BREAKS = (Event.GAP, Event.WINDOW_START, Event.RESET, Event.FILTER)
"""The block behind one of these need not follow from the block before."""


@dataclass(frozen=True, slots=True)
class FrameCounts:
    """What one frame holds, as columns: rows of the tables ``blocks``, ``known`` and ``paths``, and the paths themselves."""

    blocks: Columns
    known: Columns
    paths: Columns
    found: list[Cycles]


@dataclass(frozen=True, slots=True)
class Segments:
    """Stretches of one vCPU's blocks in a frame: blocks edges[i] to edges[i + 1], none empty.

    Attributes:
        edges: of blocks, ascending.
        root: index in `known` of the page-table root that each ran under.
        is_broken: whether each need not follow from what came before.
        known: the different roots.
    """

    edges: npt.NDArray[np.int64]
    root: npt.NDArray[np.intp]
    is_broken: npt.NDArray[np.bool_]
    known: U64


def count_frame(trace: TraceReader, number: int) -> FrameCounts:
    """Blocks and cyclic paths of one frame, by page-table root. The long parts release the GIL."""
    frame = trace.frame(number)
    table = frame.dictionary
    blocks: list[Columns] = []
    paths: list[tuple[U64, Cycles]] = []
    for vcpu in range(trace.vcpus):
        numbers = frame.numbers(vcpu)
        if not len(numbers):
            continue
        begun, segments = frame.instructions(vcpu), _segments(frame, vcpu)
        blocks.append(_count_blocks(table, vcpu, numbers, begun, segments))
        paths += [(segments.known, found) for found in _find_paths(table, numbers, begun, segments)]
    known: Columns = {"id": table.ids, "address": table.addresses, "ring": table.rings, "size": table.instructions}
    return FrameCounts(_stacked(blocks), known, _path_columns(paths), [found for _, found in paths])


def _segments(frame: Frame, vcpu: int) -> Segments:
    """Where the root may change, and where what comes does not follow from what came."""
    count = len(frame.numbers(vcpu))
    at, roots = frame.root_changes(vcpu)
    events = frame.events(vcpu)
    broken = np.unique(events.list.at[np.isin(events.types, _BREAKS)]).astype(np.int64)
    edges = np.unique(np.concatenate((at.astype(np.int64), broken, [count])).clip(0, count))
    known, which = np.unique(roots, return_inverse=True)
    # Of several roots at one place the last counts.
    root = which[np.searchsorted(at.astype(np.int64), edges[:-1], "right") - 1]
    return Segments(edges, root, np.isin(edges[:-1], broken), known)


def _count_blocks(table: BlockTable, vcpu: int, numbers: U32, begun: U16, segments: Segments) -> Columns:
    found: list[Columns] = []
    executions, instructions = np.zeros(len(table), np.uint64), np.zeros(len(table), np.uint64)
    order = np.argsort(segments.root, kind="stable")
    starts = np.flatnonzero(np.diff(segments.root[order], prepend=-1))
    for mine in np.split(order, starts[1:]):
        parts = [slice(int(segments.edges[index]), int(segments.edges[index + 1])) for index in mine]
        for part in parts:
            count_blocks(numbers[part], begun[part], executions, instructions)
        # Few blocks: cheaper than scanning the whole dictionary.
        is_short = sum(part.stop - part.start for part in parts) < len(table)
        seen = np.unique(np.concatenate([numbers[part] for part in parts])) if is_short else np.flatnonzero(executions)
        found.append(
            {
                "vcpu": np.full(len(seen), vcpu, np.uint16),
                "root": np.full(len(seen), segments.known[segments.root[mine[0]]], np.uint64),
                "id": table.ids[seen],
                "executions": executions[seen],
                "instructions": instructions[seen],
            }
        )
        executions[seen] = instructions[seen] = 0
    return _stacked(found)


def _find_paths(table: BlockTable, numbers: U32, begun: U16, segments: Segments) -> Iterator[Cycles]:
    finder = CycleFinder(table)
    parts = zip(segments.edges[:-1].tolist(), segments.edges[1:].tolist(), segments.root.tolist(), strict=True)
    for (low, high, root), is_broken in zip(parts, segments.is_broken.tolist(), strict=True):
        if is_broken:
            finder.break_off()
        while (low := low + finder.find(numbers[low:high], begun[low:high], root)) < high:
            yield finder.take(MOST_PATHS)
    yield finder.take(MOST_PATHS)


def _path_columns(paths: list[tuple[U64, Cycles]]) -> Columns:
    return _stacked(
        [
            {
                "root": known[found.roots],
                "name": found.names,
                "ring": found.rings,
                "rounds": found.rounds,
                "own": found.own,
                "total": found.total,
            }
            for known, found in paths
        ]
    )


def symbol_columns(found: Cycles, names: U64) -> Columns:
    """Symbols of those paths that are not in `names`, a row each: name, place in the path, symbol; no path twice."""
    first = np.cumsum(found.lengths, dtype=np.int64) - found.lengths
    own, index = np.unique(found.names, return_index=True)
    index = index[~np.isin(own, names)]
    lengths = found.lengths[index].astype(np.int64)
    place = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    symbols = found.symbols[np.repeat(first[index], lengths) + place]
    return {"name": np.repeat(found.names[index], lengths), "place": place.astype(np.uint16), "symbol": symbols}


def _stacked(parts: list[Columns]) -> Columns:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}
