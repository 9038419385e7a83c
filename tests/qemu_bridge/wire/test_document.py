"""The generated parts of docs/protocol.md."""

import inspect
import json
import re
import subprocess
import sys

import pytest

from qemu_bridge import errors
from qemu_bridge.wire import document
from qemu_bridge.wire.connection import Connection
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


def test_every_kind_of_error_has_a_row_below_what_it_is():
    rows = [line.split(" | ") for line in document.kinds_table().splitlines()[2:]]
    kinds = {row[0].strip("| `"): row[1].strip("`") for row in rows}
    classes = [each for each in vars(errors).values() if inspect.isclass(each) and each is not errors.GlassBoxError]
    assert kinds == {
        each.__name__: "" if each.__base__ is errors.GlassBoxError else each.__base__.__name__ for each in classes
    }


def test_an_argument_record_says_what_is_required_and_the_defaults_of_the_rest():
    text = document.records_list()
    assert "| `output` | `string` | required | path of the PNG. |" in text
    assert "| `width`, `height` | `integer` | `1280`, `720` |" in text
    assert "| `root_free_address`, `direct_map_base` | `address` | `0` |" in text
    assert "| `features` | `Feature` | `3` |" in text and "A sum of 1 blocks, 2 events" in text


def test_no_word_of_python_gets_into_the_document():
    text = "".join(part() for part in document.PARTS.values())
    assert not re.search(r"\bNone\b|\btuple\b|``|\bClient\.|qemu_bridge|tcg_plugin|\bviewer\.(?!md)\w|>>>", text)


def test_every_field_of_the_connection_file_has_a_meaning():
    rows = [line for line in document.connection_table().splitlines()[2:] if line]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row.split(" | ")[0])]
    assert named and set(named) == set(Connection.__struct_fields__)
    assert all(row.rstrip("| ").count(" | ") == 2 for row in rows)


def test_a_meaning_belongs_to_a_field_that_exists():
    records = [kind for kind in document.all_records() if hasattr(kind, "__struct_fields__")]
    for kind in records:
        named = {field for names, _ in document._sections(kind)[1] for field in names}
        assert named <= set(kind.__struct_fields__), kind
    assert sum(bool(document._sections(kind)[1]) for kind in records) > 20


@pytest.mark.parametrize("current", [True, False])
def test_a_check_says_whether_a_document_is_current_and_changes_nothing(tmp_path, current):
    path = tmp_path / "x.md"
    path.write_text(document.bring_up_to_date(PAGE) if current else PAGE)
    before = path.read_text()
    assert document.main(["--check", str(path)]) == (0 if current else 1)
    assert path.read_text() == before
