"""Every executed block as a row of Parquet: ``OUTPUT/blocks-FRAME-VCPU.parquet``, and ``OUTPUT/dictionary.parquet``.

>>> duckdb.sql("SELECT address, sum(instructions) FROM 'boot/blocks-*.parquet' GROUP BY 1 ORDER BY 2 DESC LIMIT 10")
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from ..analysis.naming import Naming
from ..file.reader import TraceReader
from .rows import RowWriter, block_rows, dictionary_rows

_OPTIONS = "FORMAT parquet, COMPRESSION zstd"


def write(trace: TraceReader, output: Path, naming: Naming) -> None:
    """Write `trace` into the new folder `output`."""
    output.mkdir(parents=True)
    with contextlib.closing(RowWriter()) as writer:
        for frame in trace.frames():
            for vcpu in range(trace.vcpus):
                if len(frame.numbers(vcpu)):
                    path = output / f"blocks-{frame.number:06}-{vcpu}.parquet"
                    writer.write(block_rows(frame, vcpu), path, _OPTIONS)
        writer.write(dictionary_rows(trace.dictionary), output / "dictionary.parquet", _OPTIONS)
