"""Executed blocks and dictionaries as columns, and their files."""

import json

import duckdb
import numpy as np
import pytest
from trace_program import LENGTHS

from qemu_bridge.errors import HostError
from qemu_bridge.memory.addresses import format_address
from qemu_bridge.trace.export.rows import RowWriter, block_rows, dictionary_rows
from qemu_bridge.trace.file.reader import TraceReader


def test_rows_of_all_frames_are_the_blocks_in_order(walk, program):
    with TraceReader(walk[0]) as trace:
        rows = [block_rows(frame, 0) for frame in trace.frames()]
    joined = {name: np.concatenate([part[name] for part in rows]) for name in rows[0]}
    assert (joined["id"] == walk[1]).all() and (joined["block"] == np.arange(len(walk[1]))).all()
    assert (joined["instruction"] == np.arange(len(walk[1])) * len(LENGTHS)).all()
    assert joined["address"].tolist() == [program.address(block) for block in walk[1].tolist()]


def test_a_dictionary_has_a_row_for_each_id(walk, program):
    with TraceReader(walk[0]) as trace:
        rows = dictionary_rows(trace.dictionary)
    assert set(rows["id"].tolist()) == set(walk[1].tolist()) and set(rows["mode"].tolist()) == {64}
    assert rows["address"].tolist() == [program.address(block) for block in rows["id"].tolist()]


def test_columns_are_written_and_a_bad_place_is_an_error_that_names_it(tmp_path):
    writer, columns = RowWriter(), {"id": np.arange(3, dtype=np.uint32)}
    path = tmp_path / "it's.parquet"
    writer.write(columns, path, "FORMAT parquet")
    assert duckdb.read_parquet(str(path)).fetchnumpy()["id"].tolist() == [0, 1, 2]
    with pytest.raises(HostError, match="another name"):
        writer.write(columns, tmp_path / "no" / "folder.parquet", "FORMAT parquet")
    writer.close()


def test_addresses_are_hex_where_it_is_asked_for(tmp_path):
    numbers = [0, 0x1F000, 0xFFFFFFFF81000001]
    writer, columns = RowWriter(), {"root": np.array(numbers, np.uint64), "id": np.arange(3, dtype=np.uint32)}
    writer.write(columns, tmp_path / "rows.json", "FORMAT json", ["root"])
    rows = [json.loads(line) for line in (tmp_path / "rows.json").read_text().splitlines()]
    assert [row["root"] for row in rows] == [format_address(number) for number in numbers]
    assert [row["id"] for row in rows] == [0, 1, 2] and list(rows[0]) == ["root", "id"]
    writer.close()
