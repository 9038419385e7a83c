"""The generated parts of docs/protocol.md."""

import json
import subprocess
import sys

import pytest

from qemu_bridge.wire import document
from qemu_bridge.wire.operations import BY_NAME

PAGE = "# Title\n\n<!-- operations: generated -->\nstale text\n<!-- end -->\n\nby hand\n\n<!-- records: generated -->\n<!-- end -->\n"


def test_only_generated_parts_are_made_anew():
    text = document.bring_up_to_date(PAGE)
    assert "stale text" not in text and "\nby hand\n" in text and text.startswith("# Title\n")
    assert document.bring_up_to_date(text) == text
    assert list(document.iter_parts(text)) == ["operations", "records"]


def test_a_row_has_arguments_with_their_types_and_defaults():
    table = document.operations_table()
    assert "| `maps` | `pid`: integer | `Answer[[MemoryMapping, …]]` | read | query |" in table
    assert '`space`: MemorySpace = `"physical"`' in table and "`pid`: integer \\| null = `null`" in table
    assert table.count("\n| `") == len(BY_NAME)


def test_every_record_that_a_result_reaches_is_described():
    text = document.records_list()
    for name in (
        "Process",
        "Place",
        "PlaceMapping",
        "Owner",
        "TraceStatus",
        "VcpuRing",
        "Manifest",
        "Runstate",
        "QmpEvent",
    ):
        assert f"**`{name}`**" in text, name
    assert '"guest-panicked"' in text


def test_the_schema_has_every_operation():
    answer = subprocess.run(
        [sys.executable, "-m", "qemu_bridge.wire.document", "--schema"], capture_output=True, text=True, check=True
    )
    schemas = json.loads(answer.stdout)
    assert set(schemas) == set(BY_NAME)
    maps = schemas["maps"]["arguments"]
    assert maps["$defs"]["maps_arguments"]["properties"] == {"pid": {"type": "integer"}}


@pytest.mark.parametrize("current", [True, False])
def test_a_check_says_whether_a_document_is_current_and_changes_nothing(tmp_path, current):
    path = tmp_path / "x.md"
    path.write_text(document.bring_up_to_date(PAGE) if current else PAGE)
    before = path.read_text()
    assert document.main(["--check", str(path)]) == (0 if current else 1)
    assert path.read_text() == before
