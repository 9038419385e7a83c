"""Names of keys: as the table of commands writes them, as menus show them, and as a settings file may spell them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_MODIFIERS = {"Control": "ctrl", "Alt": "alt", "Meta": "meta"}
_HELD = {"control": "Control", "shift": "Shift"} | {word: name for name, word in _MODIFIERS.items()}
_WRITTEN = re.compile(r"((?:(?:ctrl|control|alt|meta|shift)[-+])*)(.*)", re.IGNORECASE | re.DOTALL)
_SPOKEN = {"space": " ", "esc": "Escape"}
ENDS = ("Escape", "Enter", "Tab")
"""Keys that close, confirm and move on: no command can have them."""
NAMED = (
    *(f"F{number}" for number in range(1, 13)),
    *("ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight", "Home", "End", "PageUp", "PageDown"),
    *("Backspace", "Delete", "Insert", "Pause", "PrintScreen", "ScrollLock"),
)
"""Keys that write no character."""


def key_text(event: Mapping[str, Any]) -> str:
    """A key event as the table of commands writes it: ``ctrl-p``, ``?``, ``Escape``, ``ctrl-shift-z``, ``shift-F2``.

    Shift is told only where the character does not say it: of a sign it never is, of a letter with Control, Alt or Meta.
    """
    key, modifiers = str(event["key"]), tuple(event.get("modifiers", ()))
    is_shifted = "Shift" in modifiers
    held = [word for name, word in _MODIFIERS.items() if name in modifiers]
    is_letter = len(key) == 1 and key.isalpha()
    if is_shifted and (len(key) > 1 or (is_letter and held)):
        held.append("shift")
    return "-".join([*held, key.lower() if is_letter and held else key])


def parse_key(text: str) -> str:
    """A key that a person wrote, as `key_text` writes it; `ValueError` for what is none.

    >>> parse_key("Ctrl+Shift+Z"), parse_key("space")
    ('ctrl-shift-z', ' ')
    """
    prefix, rest = _WRITTEN.fullmatch(text if text == " " else text.strip()).groups()  # type: ignore[union-attr]
    modifiers = [_HELD[word] for word in re.split("[-+]", prefix.lower())[:-1]]
    key = _SPOKEN.get(rest.lower(), {name.lower(): name for name in NAMED}.get(rest.lower(), rest))
    if key in ENDS or not (key in NAMED or (len(key) == 1 and key.isprintable())):
        raise ValueError(f"{text!r:.40} is no key; write it like f, ctrl-p, shift-F2 or space")
    return key_text({"key": key, "modifiers": modifiers})


def key_name(key: str) -> str:
    """A key as people write it."""
    return key[:-1] + "space" if key.endswith(" ") else {"Escape": "Esc"}.get(key, key)
