"""Names of keys: as the table of commands writes them, and as menus show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SHIFTED = {"/": "?", "=": "+"}
_MODIFIERS = ("Control", "Alt", "Meta")


def key_text(event: Mapping[str, Any]) -> str:
    """A key event as the table of commands writes it: ``ctrl-p``, ``?``, ``Escape``, ``ctrl-shift-z``.

    Shift is told only together with Control, Alt or Meta: elsewhere it makes another character.
    """
    key, modifiers = str(event["key"]), tuple(event.get("modifiers", ()))
    # Some backends tell the key, some the character: with Shift both become the character.
    if "Shift" in modifiers and len(key) == 1:
        key = _SHIFTED.get(key, key.upper())
    held = [name for name in _MODIFIERS if name in modifiers]
    if not held:
        return key
    words = [{"Control": "ctrl", "Alt": "alt", "Meta": "meta"}[name] for name in held]
    return "-".join([*words, *(["shift"] if "Shift" in modifiers else []), key.lower() if len(key) == 1 else key])


def key_name(key: str) -> str:
    """A key as people write it."""
    return {" ": "space", "Escape": "Esc"}.get(key, key)
