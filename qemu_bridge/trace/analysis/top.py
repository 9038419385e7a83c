"""The hottest blocks, cyclic paths and processes of a trace, named and disassembled: what ``glassbox trace top`` prints.

>>> result = top(Path("boot.gbt"), TopOptions(count=3), naming_of_file(Path("System.map")))
>>> result.paths[0].share, result.paths[0].code[0].symbol
(0.31, 'memset+0x10')
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from ...wire.trace_records import CodeLine, PathLine, TopBlock, TopOptions, TopPath, TopProcess, TopResult
from ..file.block_table import BlockTable
from ..file.reader import TraceReader
from .mining import HotBlock, HotPath, Mined, MiningProgress, mine
from .naming import Naming
from .show import disassemble


def top(
    path: Path,
    options: TopOptions,
    naming: Naming | None = None,
    progress: Callable[[MiningProgress], None] | None = None,
) -> TopResult:
    """Count the trace at `path`; `progress` is called after each frame.

    `UsageError` for a process that `naming` does not know, `TraceError` for a damaged trace.
    """
    options.validate()
    with TraceReader(path) as trace:
        naming = (naming or Naming()).during(trace.info.about)
    root = naming.root(options.pid) if options.pid is not None else options.root
    with mine(path, options.workers, options.memory_mb, progress) as found:
        return _Result(found, naming).make(options, root)


class _Result:
    """Names and disassembles what was mined."""

    def __init__(self, found: Mined, naming: Naming) -> None:
        self._found, self._naming = found, naming
        self._total = max(1, found.instructions)
        self._tables: dict[int, tuple[BlockTable, int]] = {}

    def make(self, options: TopOptions, root: int | None) -> TopResult:
        found = self._found
        blocks = found.blocks(options.count, root, options.ring)
        paths = found.paths(options.count, root, options.ring, options.by.value)
        self._tables = found.known(sorted({block.id for block in blocks} | {one for path in paths for one in path.ids}))
        return TopResult(
            file=str(found.path),
            instructions=found.instructions,
            blocks_executed=found.blocks_executed,
            is_complete=found.is_complete,
            processes=tuple(self._process(*row) for row in found.roots() if root in (None, row[0])),
            blocks=tuple(self._block(block, options.code_lines) for block in blocks),
            paths=tuple(self._path(path, options.code_lines) for path in paths),
        )

    def _process(self, root: int, instructions: int, in_user_code: int) -> TopProcess:
        name = self._naming.process(root)
        return TopProcess(root, name, instructions, instructions / self._total, in_user_code)

    def _block(self, block: HotBlock, most: int) -> TopBlock:
        return TopBlock(
            instructions=block.instructions,
            share=block.instructions / self._total,
            ring=block.ring,
            root=block.root,
            process=self._naming.process(block.root),
            executions=block.executions,
            code=tuple(CodeLine(*line) for line in self._lines(block.id)[:most]),
            length=self._length(block.id),
        )

    def _path_lines(self, path: HotPath) -> Iterator[PathLine]:
        for place, block_id in enumerate(path.ids):
            for number, line in enumerate(self._lines(block_id)):
                yield PathLine(*line, is_looped=not number and place in path.loops)

    def _length(self, block_id: int) -> int:
        table, number = self._tables[block_id]
        return len(table.lengths(number))

    def _path(self, path: HotPath, most: int) -> TopPath:
        return TopPath(
            instructions=path.instructions,
            share=path.instructions / self._total,
            ring=path.ring,
            root=path.root,
            process=self._naming.process(path.root),
            rounds=path.rounds,
            total=path.total,
            total_share=path.total / self._total,
            code=tuple(islice(self._path_lines(path), most)),
            length=sum(map(self._length, path.ids)),
        )

    def _lines(self, block_id: int) -> list[tuple[int, str, str]]:
        """Address, symbol and text of each instruction of a block."""
        table, number = self._tables[block_id]
        address, lines = int(table.addresses[number]), []
        texts = disassemble(table.code(number), address, int(table.modes[number]))
        for length, text in zip(table.lengths(number).tolist(), texts, strict=False):
            lines.append((address, self._naming.symbol(address), text))
            address += length
        return lines
