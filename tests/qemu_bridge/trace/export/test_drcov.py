"""Coverage, parsed by its published format."""

import numpy as np
from trace_program import SIZE

from qemu_bridge.trace.export import export
from qemu_bridge.trace.file.reader import TraceReader


def test_drcov_parsed_back_holds_each_block_once(walk, program, tmp_path):
    export(walk[0], "drcov", tmp_path / "cov")
    head, table = (tmp_path / "cov").read_bytes().split(b" bbs\n", 1)
    lines = head.decode().splitlines()
    assert lines[0] == "DRCOV VERSION: 2" and lines[2] == "Module Table: version 2, count 1"
    bases = [int(line.split(",")[1], 16) for line in lines[4:-1]]
    entries = np.frombuffer(table, np.dtype([("start", "<u4"), ("size", "<u2"), ("module", "<u2")]))
    assert lines[-1] == f"BB Table: {len(entries)}"
    found = {(bases[entry["module"]] + int(entry["start"]), int(entry["size"])) for entry in entries}
    with TraceReader(walk[0]) as trace:
        known = trace.dictionary.ids.tolist()
    assert found == {(program.address(block), SIZE) for block in known} and len(entries) == len(known)
