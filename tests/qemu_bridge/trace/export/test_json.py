"""JSON lines, read back."""

import json

from qemu_bridge.trace.export import export


def test_json_lines_are_the_blocks_in_order(walk, program, tmp_path):
    export(walk[0], "json", tmp_path / "rows.json")
    rows = [json.loads(line) for line in (tmp_path / "rows.json").read_text().splitlines()]
    assert [row["id"] for row in rows] == walk[1].tolist()
    assert all(row["address"] == program.address(row["id"]) for row in rows)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.json"]
