"""Names of keys."""

from __future__ import annotations

import pytest

from viewer.app.key_names import key_name, key_text


@pytest.mark.parametrize(
    ("key", "modifiers", "text"),
    [
        ("p", ("Control",), "ctrl-p"),
        ("Z", ("Control", "Shift"), "ctrl-shift-z"),
        ("/", ("Shift",), "?"),
        ("?", ("Shift",), "?"),
        ("s", ("Shift",), "S"),
        ("F2", (), "F2"),
    ],
)
def test_keys_are_written_as_the_table_writes_them(key, modifiers, text):
    assert key_text({"key": key, "modifiers": modifiers}) == text


def test_keys_are_shown_as_people_write_them():
    assert [key_name(key) for key in (" ", "Escape", "ctrl-p")] == ["space", "Esc", "ctrl-p"]
