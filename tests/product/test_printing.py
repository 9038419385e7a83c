"""Nothing that a guest, a capture or a trace says reaches the terminal as anything but text."""

import ast
import json
import re
import unicodedata
from pathlib import Path

import pytest
from open_captures import let_go
from support import glassbox

import qemu_bridge.cli
from qemu_bridge.host.printable import printable_json

FOLDER = Path(qemu_bridge.cli.__file__).parent
EVIL = "\x1b[31mred\x1b]0;title\x07\u202e\x9b2J\x7f"


def test_the_command_line_prints_answers_through_one_function():
    for path in FOLDER.glob("*.py"):
        if path.name == "options.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                words = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                # Progress, which is our own text.
                assert words.get("file") == "sys.stderr", f"{path.name}:{node.lineno}: use print_lines"


@pytest.mark.parametrize("value", [EVIL, {"a\x85": ["\U000e0001", "\U0001f600", "日本", "\n"]}])
def test_printable_json_is_the_same_value_without_control_characters(value):
    text = printable_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value
    assert not [letter for letter in text if unicodedata.category(letter) in ("Cc", "Cf")]


@pytest.mark.guest
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_hostile_manifest_prints_nothing_but_text(machine, tmp_path, form):
    folder = tmp_path / "capture"
    assert glassbox("capture", machine.name, "-o", str(folder)).returncode == 0
    manifest = json.loads((folder / "manifest.json").read_text())
    for field, value in manifest.items():
        if isinstance(value, str) and field not in ("format", "grade"):
            manifest[field] = EVIL
    manifest["skipped"] = [EVIL]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    try:
        for words in (
            ("status", str(folder)),
            ("ps", str(folder)),
            ("status",),
            ("compare", str(folder), machine.name),
            ("identify", str(folder), "init_task"),
        ):
            found = glassbox(*words, *form)
            assert found.stdout or found.stderr
            for text in (found.stdout, found.stderr):
                letters = re.sub(r"\n", "", text)
                assert not [letter for letter in letters if unicodedata.category(letter) in ("Cc", "Cf")], (words, text)
    finally:
        let_go(folder)
