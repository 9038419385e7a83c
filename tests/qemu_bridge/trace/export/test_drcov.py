"""Coverage, parsed by its published format."""

import numpy as np
import pytest
from support import recording
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
        ran = {int(block) for blocks in trace.blocks() for block in blocks.ids}
    assert found == {(program.address(block), SIZE) for block in ran} and len(entries) == len(ran)


@pytest.mark.guest
def test_drcov_of_a_guest_has_each_address_at_which_a_block_ran(machine, tmp_path):
    """Shared libraries and programs lie elsewhere in each process, and QEMU translates them once."""
    path = tmp_path / "shells.gbt"
    with recording(machine, path, "--only", "user"):
        machine.exec("for i in 1 2 3; do sh -c 'ls -l / | md5sum'; done")
    export(path, "drcov", tmp_path / "cov")
    head, table = (tmp_path / "cov").read_bytes().split(b" bbs\n", 1)
    bases = [int(line.split(",")[1], 16) for line in head.decode().splitlines()[4:-1]]
    entries = np.frombuffer(table, np.dtype([("start", "<u4"), ("size", "<u2"), ("module", "<u2")]))
    found = {(bases[entry["module"]] + int(entry["start"]), int(entry["size"])) for entry in entries}
    ran, first = set(), set()
    with TraceReader(path) as trace:
        for blocks in trace.blocks():
            sizes = blocks.table.bytes[blocks.numbers].tolist()
            ran |= set(zip(blocks.addresses.tolist(), sizes, strict=True))
            first |= set(zip(blocks.table.addresses[blocks.numbers].tolist(), sizes, strict=True))
    assert found == ran and len(ran - first) > 100
