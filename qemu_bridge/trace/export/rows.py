"""Executed blocks as rows, written by DuckDB: what ``parquet`` and ``json`` have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import HostError
from ..file.block_table import BlockTable
from ..file.frame import Frame

ADDRESSES = ("root", "address")
"""The columns of `block_rows` that hold addresses of 64 bits."""


def block_rows(frame: Frame, vcpu: int) -> dict[str, npt.NDArray[Any]]:
    """Columns of the executed blocks of one vCPU in one frame: number of the block, of its first instruction, and so on."""
    blocks = frame.blocks(vcpu)
    ends = np.cumsum(blocks.instructions, dtype=np.uint64)
    return {
        "vcpu": np.full(len(blocks), vcpu, np.uint16),
        "block": np.arange(len(blocks), dtype=np.uint64) + np.uint64(blocks.first_block),
        "instruction": ends - blocks.instructions + np.uint64(blocks.first_instruction),
        "root": frame.roots(vcpu),
        "id": blocks.ids,
        "address": blocks.addresses,
        "instructions": blocks.instructions,
    }


def dictionary_rows(table: BlockTable) -> dict[str, npt.NDArray[Any]]:
    """Columns of a dictionary: what each id stands for."""
    return {
        "id": table.ids,
        "address": table.addresses,
        "offset": table.offsets,
        "instructions": table.instructions,
        "bytes": table.bytes,
        "ring": table.rings,
        "mode": table.modes,
    }


class RowWriter:
    """Writes columns to files through one DuckDB connection."""

    def __init__(self) -> None:
        import duckdb

        self._error = duckdb.Error
        self._sql = duckdb.connect()
        self._sql.execute("SET threads=2; SET preserve_insertion_order=true")

    def write(self, columns: dict[str, npt.NDArray[Any]], path: Path, options: str, as_hex: Sequence[str] = ()) -> None:
        """One file of the rows in `columns`; `options` are those of DuckDB's COPY.

        The columns `as_hex` are written as text, ``0x1f000`` as `format_address` has it.
        """
        changed = ", ".join(f"'0x' || lower(to_hex({name})) AS {name}" for name in as_hex)
        rows = f"SELECT * REPLACE ({changed}) FROM incoming" if changed else "FROM incoming"
        self._sql.register("incoming", columns)
        try:
            self._sql.execute("COPY ({}) TO '{}' ({})".format(rows, str(path).replace("'", "''"), options))
        except self._error as error:
            raise HostError(f"{path} cannot be written ({error}); free space or give -o another name") from None
        finally:
            self._sql.unregister("incoming")

    def close(self) -> None:
        """Close the database."""
        self._sql.close()
