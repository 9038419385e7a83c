"""Which code of a trace would miss the caches of a processor: what ``glassbox trace cache`` prints.

>>> options = CacheOptions(Caches(l2=Cache(1 << 20, 16)), count=3)
>>> result = count_misses(Path("demo.gbt"), options, naming_of_file(Path("System.map")))
>>> result.rows[0].name, result.rows[0].counts.load_misses
('memcpy_orig', (518044, 20771))

Each vCPU has all levels to itself, empty when the trace begins. Addresses are linear: user addresses of different processes are
different, though processes may share the page, and a set is chosen by linear address at every level.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tcg_plugin.layout import Feature

from ...errors import UsageError
from ...memory.addresses import PAGE_SIZE
from ...wire.records import AnyAddress, Record
from ..file.frame import Frame
from ..file.native import U32, U64
from ..file.reader import TraceReader
from .caches import DISTANCES, CacheCounts, CacheModel, Caches, Kind, empty_counts, empty_rows
from .mining import MiningProgress
from .naming import Naming
from .show import disassemble

_NO_BLOCKS: dict[str, npt.NDArray[Any]] = {
    **{"number": np.empty(0, np.int64), "frame": np.empty(0, np.uint32), "address": np.empty(0, np.uint64)},
    **{"ring": np.empty(0, np.uint8), "size": np.empty(0, np.uint16), "root": np.empty(0, np.uint64)},
}
"""Columns of blocks: their number in the dictionary of a frame that holds them, address, instructions, root that ran it first."""


class CacheOrder(StrEnum):
    """What a row of the result is."""

    SYMBOL = "symbol"
    """A function of the kernel; code without a symbol counts for its page, user code for that of its process."""
    PROCESS = "process"
    """A page-table root."""
    INSTRUCTION = "instruction"


class CacheOptions(Record, frozen=True):
    """The caches, what a row of the result is, and how many rows are listed."""

    caches: Caches = Caches()
    by: CacheOrder = CacheOrder.SYMBOL
    count: int = 20

    def validate(self) -> None:
        """Raise `UsageError` for a count below 1 and for a size that no cache has."""
        if self.count < 1:
            raise UsageError("count counts from 1; give a larger number")
        self.caches.validate()


class MissCounts(Record, frozen=True):
    """References, and how many missed each level, from the first on (that of instructions for fetches)."""

    fetches: int
    loads: int
    stores: int
    fetch_misses: tuple[int, ...]
    load_misses: tuple[int, ...]
    store_misses: tuple[int, ...]

    @property
    def last_misses(self) -> int:
        """References of all kinds that missed the last level."""
        return self.fetch_misses[-1] + self.load_misses[-1] + self.store_misses[-1]


class StrideCounts(Record, frozen=True):
    """How regular loads and stores are, each compared with the one before by the same instruction; see `caches.CacheCounts`.

    Attributes:
        foreseen: loads and stores whose address a stride predictor foresees.
        moves: to another line.
        next_line: moves to the line behind.
        distances: strides by class.
        stride: bytes, foreseen last by the instruction with the most foreseen; None: none was.
    """

    foreseen: int
    moves: int
    next_line: int
    distances: dict[str, int]
    stride: int | None


class CacheRow(Record, frozen=True):
    """Code, or a process, and its misses.

    Attributes:
        name: the symbol, or the page of code that has none; empty for a process.
        address: of the code, a linear address; 0 for a process.
        text: the instruction, disassembled; empty unless rows are instructions.
        root: page-table root that first ran it; 0 for kernel code.
        process: of that root, if it has a name.
        share: of the misses of the last level.
        strides: None for a process.
    """

    name: str
    address: AnyAddress
    text: str
    root: AnyAddress
    process: str
    share: float
    counts: MissCounts
    strides: StrideCounts | None


class CacheResult(Record, frozen=True):
    """Result of `count_misses`: most misses of the last level first. `is_complete` is false for a truncated trace."""

    file: str
    caches: Caches
    levels: tuple[str, ...]
    is_complete: bool
    total: MissCounts
    row_count: int
    rows: tuple[CacheRow, ...]


def count_misses(
    path: Path,
    options: CacheOptions,
    naming: Naming | None = None,
    progress: Callable[[MiningProgress], None] | None = None,
) -> CacheResult:
    """Put the fetches, loads and stores of the trace at `path` through caches; `progress` is called after each frame.

    `UsageError` for a trace without addresses of loads and stores, `TraceError` for a damaged one.
    """
    options.validate()
    with TraceReader(path) as trace:
        if Feature.MEMORY not in trace.info.features:
            raise UsageError(f"{path} has no addresses of loads and stores; record it with --mem")
        naming = (naming or Naming()).during(trace.info.about)
        counter = _Counter(options.caches, trace.vcpus)
        for number, frame in enumerate(trace.frames(), 1):
            counter.add(frame)
            if progress is not None:
                progress(MiningProgress(number, len(trace)))
        return _Result(trace, counter, naming).make(options)


class _Counter:
    """Goes through a trace, frame by frame. Rows are instructions of blocks by id, in the order in which blocks were first seen."""

    def __init__(self, caches: Caches, vcpus: int) -> None:
        self.models = [CacheModel(caches) for _ in range(vcpus)]
        self._rows = [empty_rows(0) for _ in range(vcpus)]
        """Of each vCPU, as each predicts by itself."""
        self._spaces = empty_counts(0)
        self.roots: dict[int, int] = {}
        """Number of each page-table root."""
        self._first: dict[int, int] = {}
        self._row_count = 0
        self.known: list[dict[str, npt.NDArray[Any]]] = [_NO_BLOCKS]
        """Blocks that were first seen in each frame."""

    def add(self, frame: Frame) -> None:
        table = frame.dictionary
        first_row, new = self._place(table.ids, table.instructions)
        # A frame holds few roots, and each block the first that ran it.
        first_root = np.zeros(len(table), np.uint64)
        for vcpu in reversed(range(len(self.models))):
            self._add_vcpu(frame, vcpu, first_row, first_root)
        self.known.append(
            {
                "number": new,
                "frame": np.full(len(new), frame.number, np.uint32),
                "address": table.addresses[new],
                "ring": table.rings[new],
                "size": table.instructions[new],
                "root": first_root[new],
            }
        )

    def _place(self, ids: U32, sizes: npt.NDArray[np.uint16]) -> tuple[U32, npt.NDArray[np.int64]]:
        """The first row of each block, and the blocks that were not seen before."""
        first_row, new = np.empty(len(ids), np.uint32), []
        for number, (block_id, size) in enumerate(zip(ids.tolist(), sizes.tolist(), strict=True)):
            first = self._first.get(block_id)
            if first is None:
                first = self._first[block_id] = self._row_count
                self._row_count += size
                new.append(number)
            first_row[number] = first
        self._rows = [_lengthened(rows, self._row_count, empty_rows) for rows in self._rows]
        return first_row, np.array(new, np.int64)

    def _add_vcpu(self, frame: Frame, vcpu: int, first_row: U32, first_root: U64) -> None:
        numbers = frame.numbers(vcpu)
        if not len(numbers):
            return
        roots = frame.roots(vcpu)
        first_root[numbers[::-1]] = roots[::-1]
        at, known = frame.root_changes(vcpu)
        spaces = np.array([self.roots.setdefault(root, len(self.roots)) for root in known.tolist()], np.uint32)
        edges = np.minimum(np.append(at, len(numbers)), len(numbers)).astype(np.int64)
        self._spaces = _lengthened(self._spaces, len(self.roots), empty_counts)
        found = frame.memory(vcpu)
        block = (found.blocks - np.uint64(frame.vcpu(vcpu)["first_block"])).astype(np.uint32)
        self.models[vcpu].run_blocks(
            frame.dictionary,
            (numbers, frame.instructions(vcpu), frame.addresses(vcpu), np.repeat(spaces, np.diff(edges))),
            (block, found.instructions, found.addresses, found.sizes, found.stores),
            self._rows[vcpu],
            first_row,
            self._spaces,
        )

    @property
    def spaces(self) -> CacheCounts:
        """A row for each of `roots`."""
        return CacheCounts(self._spaces, self.models[0].level_count)

    def instructions(self) -> CacheCounts:
        """A row for each instruction, of all vCPUs; its stride is that of the vCPU that foresees most."""
        total = self._rows[0][: self._row_count].copy()
        best = total["foreseen"].copy()
        for rows in self._rows[1:]:
            more = rows[: self._row_count]
            for name in ("foreseen", "moves", "next_line", "distances"):
                total[name] += more[name]
            for name in ("references", "misses"):
                total["counts"][name] += more["counts"][name]
            is_better = more["foreseen"] > best
            total["stride"][is_better], best[is_better] = more["stride"][is_better], more["foreseen"][is_better]
        return CacheCounts(total, self.models[0].level_count)


def _lengthened(rows: npt.NDArray[Any], count: int, empty: Callable[[int], npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """`rows` if there are `count` of them, else half as many more, of zeros."""
    if len(rows) >= count:
        return rows
    longer = empty(max(count, len(rows) * 3 // 2))
    longer[: len(rows)] = rows
    return longer


class _Result:
    """Groups, orders and names what was counted."""

    def __init__(self, trace: TraceReader, counter: _Counter, naming: Naming) -> None:
        self._trace, self._counter, self._naming = trace, counter, naming
        parts = counter.known
        self._blocks = {name: np.concatenate([part[name] for part in parts]) for name in _NO_BLOCKS}
        self._ends = np.cumsum(self._blocks["size"], dtype=np.int64)
        """Behind the last row of each block."""
        spaces = counter.spaces
        self._total = _counts_of(spaces.references.sum(0), spaces.misses.sum(0))

    def make(self, options: CacheOptions) -> CacheResult:
        match options.by:
            case CacheOrder.PROCESS:
                rows, count = self._processes(options.count)
            case CacheOrder.SYMBOL:
                rows, count = self._symbols(options.count)
            case CacheOrder.INSTRUCTION:
                rows, count = self._instructions(options.count)
        return CacheResult(
            file=str(self._trace.file.path),
            caches=options.caches,
            levels=tuple(name for name, _ in options.caches.levels()),
            is_complete=self._trace.info.is_complete,
            total=self._total,
            row_count=count,
            rows=tuple(rows),
        )

    def _processes(self, most: int) -> tuple[list[CacheRow], int]:
        counts, roots = self._counter.spaces, list(self._counter.roots)
        order, count = _order(counts.references, counts.misses)
        rows = [
            self._row("", 0, "", roots[index], _counts_of(counts.references[index], counts.misses[index]), None)
            for index in order[:most].tolist()
        ]
        return rows, count

    def _instructions(self, most: int) -> tuple[list[CacheRow], int]:
        counts = self._counter.instructions()
        order, count = _order(counts.references, counts.misses)
        chosen = order[:most]
        blocks = np.searchsorted(self._ends, chosen, "right")
        code = self._code(np.unique(blocks).tolist())
        rows = []
        for index, block in zip(chosen.tolist(), blocks.tolist(), strict=True):
            address, text = code[index]
            found = _counts_of(counts.references[index], counts.misses[index])
            strides = _strides_of(counts, np.array([index]))
            rows.append(self._row(self._naming.symbol(address), address, text, self._root(block), found, strides))
        return rows, count

    def _symbols(self, most: int) -> tuple[list[CacheRow], int]:
        counts = self._counter.instructions()
        # Each block belongs to one symbol, by where it begins.
        groups: dict[tuple[str, int], int] = {}
        group = np.zeros(len(self._ends), np.int64)
        for block, address in enumerate(self._blocks["address"].tolist()):
            name = self._naming.symbol(address).partition("+")[0]
            key = (name or f"{address & ~(PAGE_SIZE - 1):#x}", self._root(block))
            group[block] = groups.setdefault(key, len(groups))
        owner = np.repeat(group, self._blocks["size"])
        references = _sums(counts.references, owner, len(groups))
        misses = _sums(counts.misses, owner, len(groups))
        order, count = _order(references, misses)
        names = list(groups)
        rows = []
        for index in order[:most].tolist():
            name, root = names[index]
            address = int(self._blocks["address"][group == index].min())
            strides = _strides_of(counts, np.flatnonzero(owner == index))
            found = _counts_of(references[index], misses[index])
            rows.append(self._row(name, address, "", root, found, strides))
        return rows, count

    def _row(
        self, name: str, address: int, text: str, root: int, counts: MissCounts, strides: StrideCounts | None
    ) -> CacheRow:
        process = self._naming.process(root) if root else ""
        return CacheRow(
            name, address, text, root, process, counts.last_misses / max(1, self._total.last_misses), counts, strides
        )

    def _root(self, block: int) -> int:
        return int(self._blocks["root"][block]) if self._blocks["ring"][block] else 0

    def _code(self, blocks: list[int]) -> dict[int, tuple[int, str]]:
        """Address and text of each instruction of `blocks`, which ascend, by row."""
        found: dict[int, tuple[int, str]] = {}
        frames = self._blocks["frame"]
        # Blocks are in the order of the frames that they were first seen in.
        for frame, group in itertools.groupby(blocks, lambda block: int(frames[block])):
            table = self._trace.frame(frame).dictionary
            for block in group:
                number, address = int(self._blocks["number"][block]), int(self._blocks["address"][block])
                lengths = table.lengths(number).tolist()
                texts = disassemble(table.code(number), address, int(table.modes[number]))
                row = int(self._ends[block]) - len(lengths)
                for place, (length, text) in enumerate(
                    zip(lengths, itertools.chain(texts, itertools.repeat("")), strict=False)
                ):
                    found[row + place] = address, text
                    address += length
        return found


def _order(references: U64, misses: U64) -> tuple[npt.NDArray[np.intp], int]:
    """Indexes of the rows with references, most misses of the last level first, then of those above; and how many these are."""
    columns = [references.sum(1), *(misses[:, level].sum(1) for level in range(misses.shape[1]))]
    order = np.lexsort([~column for column in columns])
    order = order[columns[0][order] > 0]
    return order, len(order)


def _sums(values: U64, owner: npt.NDArray[np.int64], count: int) -> U64:
    """Sums of rows by owner."""
    sums = np.zeros((count, *values.shape[1:]), np.uint64)
    np.add.at(sums, owner, values)
    return sums


def _counts_of(references: U64, misses: U64) -> MissCounts:
    loads, stores, fetches = references.tolist()
    return MissCounts(
        *(fetches, loads, stores), *(tuple(misses[:, kind].tolist()) for kind in (Kind.FETCH, Kind.LOAD, Kind.STORE))
    )


def _strides_of(counts: CacheCounts, rows: npt.NDArray[np.intp]) -> StrideCounts:
    foreseen = counts.foreseen[rows]
    distances = counts.distances[rows].sum(0).tolist()
    return StrideCounts(
        foreseen=int(foreseen.sum()),
        moves=int(counts.moves[rows].sum()),
        next_line=int(counts.next_line[rows].sum()),
        distances=dict(zip(DISTANCES, distances, strict=True)),
        stride=int(counts.strides[rows[foreseen.argmax()]]) if foreseen.any() else None,
    )
