"""What a guest or a capture calls things cannot drive the terminal that shows it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qemu_bridge import cli
from qemu_bridge.host.printable import printable, printable_lines


@given(st.text())
def test_what_is_printable_is_left_and_the_rest_is_a_question_mark(text):
    shown = printable(text)
    assert shown.isprintable() and len(shown) == len(text)
    assert all(now in (was, "?") for was, now in zip(text, shown, strict=True))


def test_lines_stay_lines():
    assert printable_lines("a\x1b[31m\nb\u202e\r") == "a?[31m\nb??"


@pytest.mark.parametrize("verb", ["ps", "snap"])
def test_an_error_that_quotes_a_file_does_not_drive_the_terminal(verb, tmp_path, capfd):
    (tmp_path / "manifest.json").write_text('{"format": "glassbox-capture", "version": "\\u009b31m\\u202e"}')
    assert cli.main([verb, str(tmp_path / "sub\x1b[31m")]) == 2
    assert cli.main([verb, str(tmp_path)]) == 2
    assert printable_lines(told := capfd.readouterr().err) == told and "version" in told
