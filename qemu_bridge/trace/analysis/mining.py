"""Hot blocks and hot cyclic paths of a trace of any size: ``glassbox trace top``.

Frames stand on their own, so they are counted in parallel, each into a few thousand rows (`frame_counts`); the rows of all
frames are added up by DuckDB, which spills to disk beyond its memory limit, so neither a trace nor its counts need fit into
RAM. DuckDB and not Polars: it keeps its limit while it groups, it takes dicts of NumPy arrays as tables, and it writes
Parquet, all in one dependency that `export` uses too.

>>> with mine(Path("boot.gbt")) as found:
...     for path in found.paths(10):
...         print(path.instructions / found.instructions, path.rounds, path.ids)

A process is a page-table root (CR3); a kernel thread runs under the root of the process before it. Instructions are those
that began, as `reader` counts them. Tables are ``blocks``, ``known``, ``paths`` and ``symbols``, open to the caller's own SQL.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ...errors import TraceError, UsageError
from ..file.block_table import BlockTable
from ..file.reader import TraceReader
from .cycles import LOOPED
from .frame_counts import Columns, FrameCounts, count_frame, symbol_columns

MEMORY_MB = 512
MOST_NAMES = 1 << 17
"""Paths whose symbols are known to be in the database; beyond, some are put there again."""

_SCHEMA = """
CREATE TABLE blocks (vcpu USMALLINT, root UBIGINT, id UINTEGER, executions UBIGINT, instructions UBIGINT);
CREATE TABLE known (id UINTEGER, address UBIGINT, ring UTINYINT, size USMALLINT, frame UINTEGER);
CREATE TABLE paths (root UBIGINT, name UBIGINT, ring UTINYINT, rounds UBIGINT, own UBIGINT, total UBIGINT);
CREATE TABLE symbols (name UBIGINT, place USMALLINT, symbol UINTEGER);
"""


@dataclass(frozen=True, slots=True)
class MiningProgress:
    """Frames that were counted, of all."""

    done: int
    frames: int


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
    loops: tuple[int, ...]
    """Places in `ids` where loops ran that begin at the block there: its last time through is part of this path."""
    ring: int
    """The highest of its blocks: 3 if it leaves the kernel."""
    rounds: int
    instructions: int
    """Of its own: in no loop inside it. No instruction is in two paths, so these add up."""
    total: int
    """With those of the loops inside, which count for their paths too."""
    root: int
    """Page-table root that most of it ran under."""


@contextlib.contextmanager
def mine(
    path: Path,
    workers: int | None = None,
    memory_mb: int = MEMORY_MB,
    progress: Callable[[MiningProgress], None] | None = None,
) -> Iterator[Mined]:
    """Count the trace at `path` with `workers` threads (as many as there are cores) and give what was found.

    DuckDB takes `memory_mb` of RAM and then a temporary folder; a worker needs some 100 MiB for its frame. Threads, because what
    takes long is in C: processes would take longer to start than a frame takes to count.
    """
    if memory_mb < 64:
        raise UsageError(f"{memory_mb} MiB are too little memory to count in; give 64 or more")
    workers = workers or len(os.sched_getaffinity(0))
    with contextlib.ExitStack() as stack:
        trace = stack.enter_context(TraceReader(path))
        if not len(trace):
            raise TraceError(f"{path} has no frames; record it again")
        pool = ThreadPoolExecutor(workers, "glassbox-mine")
        stack.callback(pool.shutdown, cancel_futures=True)
        counts = _counted(pool, trace, 2 * workers)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="glassbox-"))
        # DuckDB is slow to import; the first frames are counted meanwhile.
        first = next(counts)
        found = Mined(trace, Path(folder), memory_mb)
        stack.callback(found.close)
        found.add(0, first)
        for number, frame in enumerate(counts, 1):
            if progress is not None:
                progress(MiningProgress(number, len(trace)))
            found.add(number, frame)
        if progress is not None:
            progress(MiningProgress(len(trace), len(trace)))
        yield found


def _counted(pool: ThreadPoolExecutor, trace: TraceReader, most: int) -> Iterator[FrameCounts]:
    """Counts by frame; at most `most` frames are under way or wait to be taken."""
    waiting: deque[Future[FrameCounts]] = deque()
    for number in range(len(trace)):
        waiting.append(pool.submit(count_frame, trace, number))
        if len(waiting) == most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


class Mined:
    """Counts of a whole trace, in a DuckDB database of its own."""

    def __init__(self, trace: TraceReader, folder: Path, memory_mb: int) -> None:
        # Reading a trace needs none of it.
        import duckdb

        self._trace = trace
        self.path = trace.file.path
        self.blocks_executed, self.instructions = trace.info.blocks, trace.info.instructions
        self.is_complete = trace.info.is_complete
        """False: the trace's recorder was killed or its disk was full; the frames that exist were counted."""
        self.sql = duckdb.connect()
        """The connection, for queries of the caller."""
        self.sql.execute(f"SET memory_limit='{memory_mb}MiB'; SET temp_directory='{folder}'; SET threads=2;" + _SCHEMA)
        self._names = np.zeros(0, np.uint64)

    def close(self) -> None:
        """Close the database."""
        self.sql.close()

    def add(self, number: int, counts: FrameCounts) -> None:
        """Put the counts of frame `number` into the tables."""
        self._insert("known", counts.known | {"frame": np.full(len(counts.known["id"]), number, np.uint32)})
        self._insert("blocks", counts.blocks)
        self._insert("paths", counts.paths)
        for found in counts.found:
            self._insert("symbols", symbol_columns(found, self._names))
            self._names = np.union1d(self._names if len(self._names) < MOST_NAMES else found.names, found.names)

    def _insert(self, table: str, columns: Columns) -> None:
        if columns and len(next(iter(columns.values()))):
            self.sql.register("incoming", columns)
            self.sql.execute(f"INSERT INTO {table} SELECT {', '.join(columns)} FROM incoming")
            self.sql.unregister("incoming")

    def roots(self) -> list[tuple[int, int, int]]:
        """(page-table root, instructions under it, those of them in ring 3), the most first."""
        rows = self.sql.execute(
            """WITH place AS (SELECT id, any_value(ring) AS ring FROM known GROUP BY id)
            SELECT root, sum(instructions) AS n, coalesce(sum(instructions) FILTER (ring = 3), 0)
            FROM blocks LEFT JOIN place USING (id) GROUP BY root ORDER BY n DESC, root"""
        )
        return [(int(root), int(count), int(user)) for root, count, user in rows.fetchall()]

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

    def paths(
        self, count: int = 10, root: int | None = None, ring: int | None = None, by: Literal["own", "total"] = "own"
    ) -> list[HotPath]:
        """The `count` cyclic paths with the most instructions, of one root or all; `ring` 0: only in the kernel.

        `by` says which instructions: the path's own, or with the loops inside it.
        """
        rows = self.sql.execute(
            f"""WITH found AS (SELECT root, name, ring, sum(rounds) AS r, sum(own) AS own, sum(total) AS total
                FROM paths {_where(root)} GROUP BY root, name, ring)
            SELECT name, ring, sum(r), sum(own) AS own, sum(total) AS total, arg_max(root, {by}) FROM found
            WHERE ? IS NULL OR ring = ? GROUP BY name, ring ORDER BY {by} DESC, name LIMIT ?""",
            [*([] if root is None else [root]), ring, ring, count],
        ).fetchall()
        symbols = self._symbols([row[0] for row in rows])
        return [HotPath(*symbols[name], *map(int, rest)) for name, *rest in rows]

    def _symbols(self, names: Sequence[int]) -> dict[int, tuple[tuple[int, ...], tuple[int, ...]]]:
        """Ids of each path, and the places of loops in it."""
        rows = self.sql.execute(
            """WITH one AS (SELECT name, place, any_value(symbol) AS symbol FROM symbols WHERE name IN ?
                GROUP BY name, place)
            SELECT name, list(symbol ORDER BY place) FROM one GROUP BY name""",
            [list(names)],
        ).fetchall()
        found = {}
        for name, symbols in rows:
            array = np.array(symbols, np.uint32)
            places = np.flatnonzero(array & LOOPED)
            found[name] = (tuple((array & ~LOOPED).tolist()), tuple(places.tolist()))
        return found

    def known(self, ids: Sequence[int]) -> dict[int, tuple[BlockTable, int]]:
        """For each block its dictionary and its number there, so that its code can be read."""
        rows = self.sql.execute("SELECT id, min(frame) FROM known WHERE id IN ? GROUP BY id", [list(ids)]).fetchall()
        tables = {frame: self._trace.frame(frame).dictionary for frame in {frame for _, frame in rows}}
        found = {}
        for block_id, frame in rows:
            found[int(block_id)] = (tables[frame], int(np.flatnonzero(tables[frame].ids == block_id)[0]))
        return found


def _where(root: int | None) -> str:
    return "" if root is None else "WHERE root = ?"
