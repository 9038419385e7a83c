"""JSON lines, read back."""

import json

from qemu_bridge.memory.addresses import format_address
from qemu_bridge.trace.export import export
from qemu_bridge.trace.export.rows import ADDRESSES


def test_json_lines_are_the_blocks_in_order(walk, program, tmp_path):
    export(walk[0], "json", tmp_path / "rows.json")
    rows = [json.loads(line) for line in (tmp_path / "rows.json").read_text().splitlines()]
    assert [row["id"] for row in rows] == walk[1].tolist()
    assert all(row["address"] == format_address(program.address(row["id"])) for row in rows)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.json"]


def test_no_number_is_rounded_by_readers_that_keep_doubles(walk, tmp_path):
    export(walk[0], "json", tmp_path / "rows.json")
    lines = (tmp_path / "rows.json").read_text().splitlines()
    # What JavaScript and jq make of a number: a double.
    assert [json.loads(line, parse_int=float) for line in lines] == [json.loads(line) for line in lines]
    assert {type(json.loads(lines[0])[name]) for name in ADDRESSES} == {str}
