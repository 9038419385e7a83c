"""Names of keys."""

from __future__ import annotations

import pytest

from viewer.app.key_names import key_name, key_text, parse_key


@pytest.mark.parametrize(
    ("key", "modifiers", "text"),
    [
        ("p", ("Control",), "ctrl-p"),
        ("Z", ("Control", "Shift"), "ctrl-shift-z"),
        ("/", ("Shift",), "/"),
        ("+", ("Control", "Shift"), "ctrl-+"),
        ("?", ("Shift",), "?"),
        ("S", ("Shift",), "S"),
        ("F2", ("Shift",), "shift-F2"),
        ("F2", (), "F2"),
    ],
)
def test_keys_are_written_as_the_table_writes_them(key, modifiers, text):
    assert key_text({"key": key, "modifiers": modifiers}) == text


def test_keys_are_shown_as_people_write_them():
    assert [key_name(key) for key in (" ", "ctrl- ", "Escape", "ctrl-p")] == ["space", "ctrl-space", "Esc", "ctrl-p"]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Ctrl+Shift+Z", "ctrl-shift-z"),
        ("ctrl--", "ctrl--"),
        ("control++", "ctrl-+"),
        ("SPACE", " "),
        ("f2", "F2"),
        ("-", "-"),
        ("é", "é"),
    ],
)
def test_a_person_may_spell_a_key_in_several_ways(text, key):
    assert parse_key(text) == key == parse_key(key)


@pytest.mark.parametrize("text", ["", "Esc", "enter", "ctrl-", "hello", "\n", "ctrl-hello"])
def test_what_is_no_key_is_refused(text):
    with pytest.raises(ValueError, match="is no key"):
        parse_key(text)
