"""Parquet, read back by DuckDB."""

import duckdb
import numpy as np
from trace_program import LENGTHS

from qemu_bridge.trace.export import export
from qemu_bridge.trace.file.reader import TraceReader


def test_parquet_is_read_back_row_for_row(walk, two, tmp_path):
    for path, streams in ((walk[0], [walk[1]]), two):
        output = tmp_path / f"rows{len(streams)}"
        export(path, "parquet", output)
        for vcpu, ids in enumerate(streams):
            rows = duckdb.sql(
                f"SELECT block, id, instruction, root FROM '{output}/blocks-*.parquet' WHERE vcpu = {vcpu} ORDER BY block"
            ).fetchnumpy()
            assert (rows["id"] == ids).all() and (rows["block"] == np.arange(len(ids))).all()
            assert (rows["instruction"] == np.arange(len(ids)) * len(LENGTHS)).all() and set(rows["root"]) == {0x1000}
        with TraceReader(path) as trace:
            known = duckdb.sql(f"SELECT id, address FROM '{output}/dictionary.parquet' ORDER BY id").fetchnumpy()
            order = np.argsort(trace.dictionary.ids)
            assert (known["address"] == trace.dictionary.addresses[order]).all()
