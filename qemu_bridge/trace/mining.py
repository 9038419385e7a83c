"""Hot blocks and hot cyclic paths of a trace of any size: ``glassbox trace top``.

Frames stand on their own, so they are counted in parallel, each into a few thousand rows (`count_frame`); the rows of all
frames are added up by DuckDB, which spills to disk beyond its memory limit, so neither a trace nor its counts need fit into
RAM. DuckDB and not Polars: it keeps its limit while it groups, it takes dicts of NumPy arrays as tables, and it writes
Parquet, all in one dependency that `export` uses too.

>>> with mine(Path("boot.gbt")) as found:
...     for path in found.paths(10):
...         print(path.instructions / found.instructions, path.rounds, path.ids)

A process is a page-table root (CR3); a kernel thread runs under the root of whoever ran before it. Instructions are those
that began, as `reader` counts them. Tables are `BLOCKS`, `PATHS` and `KNOWN`, open to the caller's own SQL.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import TraceError, UsageError
from .codec import U16, U32, U64, Flow
from .cycles import CycleFinder, CycleRuns
from .reader import BlockTable, Frame, TraceReader

Columns = dict[str, npt.NDArray[Any]]
Segments = tuple[npt.NDArray[np.int64], U64]

PIECE = 1 << 18
"""Blocks in which cyclic paths are looked for at once: what that needs stays in the cache."""
MOST_PATHS = 1000
"""Cyclic paths kept of one frame, the hottest; Alpine's boot has 100 to 300 in a frame."""
LONGEST_PATH = 4096
"""Blocks of a path that is kept."""
MEMORY_MB = 512

_CALL = 0xE8
_SCHEMA = """
CREATE TABLE blocks (vcpu USMALLINT, root UBIGINT, id UINTEGER, executions UBIGINT, instructions UBIGINT);
CREATE TABLE known (id UINTEGER, address UBIGINT, ring UTINYINT, size USMALLINT, frame UINTEGER);
CREATE TABLE paths (root UBIGINT, key UBIGINT, ring UTINYINT, rounds UBIGINT, instructions UBIGINT);
CREATE TABLE path_blocks (key UBIGINT, ids BLOB);
"""


@dataclass(frozen=True, slots=True)
class FrameCounts:
    """What one frame holds, as columns: rows of the tables ``blocks``, ``known`` and ``paths``, and each path's block ids."""

    blocks: Columns
    known: Columns
    paths: Columns
    path_blocks: dict[int, bytes]


@dataclass(frozen=True, slots=True)
class HotBlock:
    """A block of the dictionary and what was executed of it."""

    id: int
    address: int
    ring: int
    """Of privilege: 0 kernel, 3 user."""
    executions: int
    instructions: int
    root: int
    """Page-table root that most of it ran under."""
    frame: int
    """A frame whose dictionary holds it."""


@dataclass(frozen=True, slots=True)
class HotPath:
    """A cyclic path of blocks and what was executed in its repetitions."""

    ids: tuple[int, ...]
    """Its blocks in order; the same path begins at the same block, wherever it was entered."""
    ring: int
    """The highest of its blocks: 3 if it leaves the kernel."""
    rounds: int
    instructions: int
    root: int
    """Page-table root that most of it ran under."""


def count_frame(path: Path, number: int) -> FrameCounts:
    """Blocks and cyclic paths of one frame, by page-table root."""
    with TraceReader(path) as trace:
        frame = trace.frame(number)
        table = frame.dictionary
        blocks, paths = [], []
        path_blocks: dict[int, bytes] = {}
        finder = CycleFinder(_places(table), _jumps(table))
        for vcpu in range(trace.vcpus):
            if not len(frame.numbers(vcpu)):
                continue
            begun = frame.instructions(vcpu)
            segments = _segments(frame, vcpu)
            blocks.append(_count_blocks(frame, vcpu, begun, segments))
            columns, names = _count_paths(frame, vcpu, begun, segments, finder)
            paths.append(columns)
            path_blocks |= names
    known: Columns = {"id": table.ids, "address": table.addresses, "ring": table.rings, "size": table.instructions}
    return FrameCounts(_stacked(blocks), known, _stacked(paths), path_blocks)


def _places(table: BlockTable) -> npt.NDArray[np.int32]:
    """Rank of each block by address."""
    places = np.empty(len(table), np.int32)
    places[np.argsort(table.addresses, kind="stable")] = np.arange(len(table), dtype=np.int32)
    return places


def _jumps(table: BlockTable) -> npt.NDArray[np.bool_]:
    """Whether each block ends in a jump, conditional or not, or may repeat itself; a call closes no loop."""
    flow, opcode = table.endings["flow"], table.endings["opcode"]
    is_jump = (flow == Flow.BRANCH) | ((flow == Flow.JUMP) & (opcode != _CALL)) | (flow == Flow.REPEAT)
    return np.asarray(is_jump, np.bool_)


def _count_blocks(frame: Frame, vcpu: int, begun: U16, segments: Segments) -> Columns:
    table, numbers = frame.dictionary, frame.numbers(vcpu)
    whole = table.instructions[numbers] == begun
    cut = np.flatnonzero(~whole)
    missing = table.instructions[numbers[cut]].astype(np.int64) - begun[cut]
    at, roots = segments
    found: list[Columns] = []
    for root in np.unique(roots):
        mine = np.flatnonzero(roots == root)
        parts = [numbers[at[index] : at[index + 1]] for index in mine]
        executions = np.bincount(np.concatenate(parts) if len(parts) > 1 else parts[0], minlength=len(table))
        instructions = executions * table.instructions.astype(np.int64)
        ours = roots[np.searchsorted(at, cut, "right") - 1] == root
        np.subtract.at(instructions, numbers[cut[ours]], missing[ours])
        seen = np.flatnonzero(executions)
        found.append(
            {
                "vcpu": np.full(len(seen), vcpu, np.uint16),
                "root": np.full(len(seen), root, np.uint64),
                "id": table.ids[seen],
                "executions": executions[seen].astype(np.uint64),
                "instructions": instructions[seen].astype(np.uint64),
            }
        )
    return _stacked(found)


def _segments(frame: Frame, vcpu: int) -> Segments:
    """(edges, roots): blocks edges[i] to edges[i + 1] ran under roots[i]; no segment is empty."""
    at, roots = frame.root_changes(vcpu)
    count = len(frame.numbers(vcpu))
    edges = np.minimum(np.append(at, count), count).astype(np.int64)
    keep = np.diff(edges) > 0
    return np.append(edges[:-1][keep], count), roots[keep]


def _count_paths(
    frame: Frame, vcpu: int, begun: U16, segments: Segments, finder: CycleFinder
) -> tuple[Columns, dict[int, bytes]]:
    table, numbers = frame.dictionary, frame.numbers(vcpu)
    runs = _find(finder, numbers)
    before = np.concatenate(([0], np.cumsum(begun, dtype=np.int64)))
    instructions = before[runs.start + runs.blocks * runs.rounds] - before[runs.start]
    at, roots = segments
    names, inverse, rings, path_blocks = _named(runs, instructions, numbers, table)
    kept = inverse >= 0
    run_roots = roots[np.searchsorted(at, runs.start[kept], "right") - 1]
    # Few roots and few paths: one number for each pair of them.
    known_roots, root_index = np.unique(run_roots, return_inverse=True)
    pair, index = np.unique(root_index * max(1, len(names)) + inverse[kept], return_inverse=True)
    which = pair % max(1, len(names))
    columns: Columns = {
        "root": known_roots[pair // max(1, len(names))],
        "key": names[which],
        "ring": rings[which],
        "rounds": _sums(index, runs.rounds[kept], len(pair)),
        "instructions": _sums(index, instructions[kept], len(pair)),
    }
    return columns, path_blocks


def _find(finder: CycleFinder, numbers: U32) -> CycleRuns:
    pieces = [(first, finder.find(numbers[first : first + PIECE])) for first in range(0, len(numbers), PIECE)]
    return CycleRuns(
        np.concatenate([runs.start + first for first, runs in pieces]),
        np.concatenate([runs.blocks for _, runs in pieces]),
        np.concatenate([runs.rounds for _, runs in pieces]),
        np.concatenate([runs.key for _, runs in pieces]),
    )


def _named(
    runs: CycleRuns, instructions: npt.NDArray[np.int64], numbers: U32, table: BlockTable
) -> tuple[U64, npt.NDArray[np.int64], npt.NDArray[np.uint8], dict[int, bytes]]:
    """(names of the paths, the path of each run or -1, highest ring of each path, ids by name).

    A run's own key depends on where the laps of its piece were cut; a name is a hash of the ids alone.
    """
    _, first, inverse = np.unique(runs.key, return_index=True, return_inverse=True)
    weight = _sums(inverse, instructions, len(first))
    hottest = np.argsort(weight)[::-1][:MOST_PATHS]
    path_of = np.full(len(first), -1, np.int64)
    names: dict[int, int] = {}
    rings, path_blocks = [], {}
    for key in hottest.tolist():
        start, length = int(runs.start[first[key]]), int(runs.blocks[first[key]])
        if length > LONGEST_PATH:
            continue
        own = numbers[start : start + length]
        ids = table.ids[own]
        turned = np.roll(ids, -least_rotation(ids.tolist())).astype("<u4").tobytes()
        name = int.from_bytes(blake2b(turned, digest_size=8).digest(), "little")
        if name not in names:
            names[name] = len(names)
            rings.append(int(table.rings[own].max()))
            path_blocks[name] = turned
        path_of[key] = names[name]
    return np.array(list(names), np.uint64), path_of[inverse], np.array(rings, np.uint8), path_blocks


def least_rotation(items: Sequence[int]) -> int:
    """Where the lexicographically least rotation of `items` begins, in linear time (the two-pointer form of Booth 1980)."""
    count, left, right, same = len(items), 0, 1, 0
    while left < count and right < count and same < count:
        one, other = items[(left + same) % count], items[(right + same) % count]
        if one == other:
            same += 1
            continue
        if one > other:
            left += same + 1
        else:
            right += same + 1
        right += left == right
        same = 0
    return min(left, right)


def _sums(index: npt.NDArray[np.intp], values: npt.NDArray[np.int64], count: int) -> U64:
    sums = np.zeros(count, np.int64)
    np.add.at(sums, index, values)
    return sums.astype(np.uint64)


def _stacked(parts: list[Columns]) -> Columns:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}


@contextlib.contextmanager
def mine(path: Path, workers: int | None = None, memory_mb: int = MEMORY_MB) -> Iterator[Mined]:
    """Count the trace at `path` with `workers` processes (as many as there are cores) and give what was found.

    DuckDB takes `memory_mb` of RAM and then a temporary folder; a worker needs some 300 MiB for its frame.
    """
    with TraceReader(path) as trace:
        frames, info = len(trace), trace.info
    if not frames:
        raise TraceError(f"{path} has no frames; record it again")
    if memory_mb < 64:
        raise UsageError(f"{memory_mb} MiB are too few to count in; give 64 or more")
    workers = min(frames, workers or len(os.sched_getaffinity(0)))
    with tempfile.TemporaryDirectory(prefix="glassbox-") as folder:
        found = Mined(path, Path(folder), memory_mb, info.blocks, info.instructions)
        try:
            found.fill(path, frames, workers)
            yield found
        finally:
            found.close()


class Mined:
    """Counts of a whole trace, in a DuckDB database of its own."""

    def __init__(self, path: Path, folder: Path, memory_mb: int, blocks: int, instructions: int) -> None:
        # DuckDB is slow to import, and reading a trace needs none of it.
        import duckdb

        self.path, self.blocks_executed, self.instructions = path, blocks, instructions
        self.sql = duckdb.connect(str(folder / "counts.duckdb"))
        """The connection, for questions of one's own."""
        self.sql.execute(f"SET memory_limit='{memory_mb}MiB'; SET temp_directory='{folder}'; SET threads=2;" + _SCHEMA)
        self._names: set[int] = set()

    def close(self) -> None:
        """Let go of the database."""
        self.sql.close()

    def fill(self, path: Path, frames: int, workers: int) -> None:
        """Count all frames; no more are under way than there are workers."""
        if workers == 1:
            for number in range(frames):
                self._add(number, count_frame(path, number))
            return
        # A forked child of a process with threads may hang; a fresh one costs 0.2 s.
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            for number, counts in _in_order(pool, path, frames, 2 * workers):
                self._add(number, counts)

    def _add(self, number: int, counts: FrameCounts) -> None:
        known = counts.known | {"frame": np.full(len(counts.known["id"]), number, np.uint32)}
        for table, columns in (("blocks", counts.blocks), ("known", known), ("paths", counts.paths)):
            if columns and len(next(iter(columns.values()))):
                self.sql.register("incoming", columns)
                self.sql.execute(f"INSERT INTO {table} SELECT {', '.join(columns)} FROM incoming")
                self.sql.unregister("incoming")
        new = [(name, ids) for name, ids in counts.path_blocks.items() if name not in self._names]
        if new:
            self.sql.executemany("INSERT INTO path_blocks VALUES (?, ?)", new)
            self._names.update(name for name, _ in new)

    def roots(self) -> list[tuple[int, int]]:
        """(page-table root, instructions under it), the most first."""
        rows = self.sql.execute("SELECT root, sum(instructions) AS n FROM blocks GROUP BY root ORDER BY n DESC, root")
        return [(int(root), int(count)) for root, count in rows.fetchall()]

    def blocks(self, count: int = 10, root: int | None = None, ring: int | None = None) -> list[HotBlock]:
        """The `count` blocks with the most instructions, of one root or all, of one ring or all."""
        rows = self.sql.execute(
            f"""WITH found AS (SELECT root, id, sum(executions) AS e, sum(instructions) AS n FROM blocks {_where(root)}
                GROUP BY root, id),
            total AS (SELECT id, sum(e) AS e, sum(n) AS n, arg_max(root, n) AS root FROM found GROUP BY id),
            place AS (SELECT id, any_value(address) AS address, any_value(ring) AS ring, min(frame) AS frame FROM known
                GROUP BY id)
            SELECT id, address, ring, e, n, root, frame FROM total JOIN place USING (id)
            WHERE ? IS NULL OR ring = ? ORDER BY n DESC, id LIMIT ?""",
            [*([] if root is None else [root]), ring, ring, count],
        ).fetchall()
        return [HotBlock(*map(int, row)) for row in rows]

    def paths(self, count: int = 10, root: int | None = None, ring: int | None = None) -> list[HotPath]:
        """The `count` cyclic paths with the most instructions, of one root or all; `ring` 0: only in the kernel."""
        rows = self.sql.execute(
            f"""WITH found AS (SELECT root, key, ring, sum(rounds) AS r, sum(instructions) AS n FROM paths {_where(root)}
                GROUP BY root, key, ring),
            total AS (SELECT key, ring, sum(r) AS r, sum(n) AS n, arg_max(root, n) AS root FROM found GROUP BY key, ring)
            SELECT ids, ring, r, n, root FROM total JOIN path_blocks USING (key)
            WHERE ? IS NULL OR ring = ? ORDER BY n DESC, key LIMIT ?""",
            [*([] if root is None else [root]), ring, ring, count],
        ).fetchall()
        return [HotPath(tuple(np.frombuffer(ids, "<u4").tolist()), *map(int, rest)) for ids, *rest in rows]

    def known(self, ids: Sequence[int]) -> dict[int, tuple[BlockTable, int]]:
        """For each block its dictionary and its number there, so that its code can be read."""
        rows = self.sql.execute("SELECT id, min(frame) FROM known WHERE id IN ? GROUP BY id", [list(ids)]).fetchall()
        found = {}
        with TraceReader(self.path) as trace:
            tables = {frame: trace.frame(frame).dictionary for frame in {frame for _, frame in rows}}
        for block_id, frame in rows:
            found[int(block_id)] = (tables[frame], int(np.flatnonzero(tables[frame].ids == block_id)[0]))
        return found


def _where(root: int | None) -> str:
    return "" if root is None else "WHERE root = ?"


def _in_order(pool: Executor, path: Path, frames: int, most: int) -> Iterator[tuple[int, FrameCounts]]:
    """Results by frame; at most `most` are asked for at a time."""
    waiting: list[Future[FrameCounts]] = []
    try:
        for number in range(frames + most):
            if number < frames:
                waiting.append(pool.submit(count_frame, path, number))
            if number >= most or number >= frames:
                done = number - most
                if done >= 0:
                    yield done, waiting.pop(0).result()
    finally:
        for future in waiting:
            future.cancel()
