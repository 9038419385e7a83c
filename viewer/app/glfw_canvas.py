"""A window of the desktop that tells keys as browsers do: by the character they write on the user's keyboard.

glfw names a key by its place on a US keyboard, and tells apart from that which character was typed. Here the two are one event:
``key`` is the character with Shift and AltGr as they are held, with Control or Alt what the key writes without them. A letter of another
script (Cyrillic, Greek) stands for the Latin one at its place, so that commands have a key there too; fields get what was typed.
"""

from __future__ import annotations

import unicodedata
from typing import Any

import glfw
from rendercanvas.core.coreutils import weakbind
from rendercanvas.glfw import KEY_MAP, KEY_MAP_MOD, RenderCanvas

# The right Alt is AltGr on most keyboards: it writes characters, and is told as Alt only by the keys pressed with it.
_NAMES = {**KEY_MAP, glfw.KEY_RIGHT_ALT: "AltGraph", glfw.KEY_KP_ENTER: "Enter"}
_MODIFIERS = {
    glfw.MOD_ALT: "Alt",
    glfw.MOD_CONTROL: "Control",
    glfw.MOD_SUPER: "Meta",
    glfw.MOD_SHIFT: "Shift",
}
_WITHOUT_TEXT = {"Alt", "Control", "Meta"}


class GlfwCanvas(RenderCanvas):  # type: ignore[misc]  # rendercanvas has no types
    """A canvas of rendercanvas in a glfw window; its key events have a field ``repeat``, true while a key is held."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401  # of rendercanvas
        self._untold: tuple[int, int, dict[str, Any]] | None = None
        self._told: dict[int, str] = {}
        super().__init__(**options)
        # Also called for what is typed with Control or Alt, before the character itself is.
        glfw.set_char_mods_callback(self._window, weakbind(self._on_character_of_key))

    def submit_event(self, event: dict[str, Any]) -> None:
        """Add `event` to those that wait, behind a key that was pressed before it."""
        self._tell()
        super().submit_event(event)

    def _rc_gui_poll(self) -> None:
        super()._rc_gui_poll()
        self._tell()

    def _on_key(self, window: object, key: int, place: int, action: int, bits: int) -> None:
        held = {name for bit, name in _MODIFIERS.items() if bits & bit}
        if (own := KEY_MAP_MOD.get(key)) and key != glfw.KEY_RIGHT_ALT:
            held = held - {own} if action == glfw.RELEASE else held | {own}
        self._key_modifiers = tuple(sorted(held))
        name = _NAMES.get(key)
        if action == glfw.RELEASE:
            self._tell()
            if (told := self._told.pop(place, name)) is not None:
                self.submit_event({"event_type": "key_up", "key": told, "modifiers": self._key_modifiers})
            return
        event = {"event_type": "key_down", "modifiers": self._key_modifiers, "repeat": action == glfw.REPEAT}
        if name is None:
            self._tell()
            self._untold = (key, place, event)  # the character it writes comes next
        else:
            self._told[place] = name
            self.submit_event(event | {"key": name})

    def _on_character_of_key(self, window: object, code: int, bits: int) -> None:
        self._tell(chr(code))

    def _tell(self, character: str | None = None) -> None:
        """Submit the key that waits, which writes `character`; one that writes nothing is told only with Control or Alt."""
        if self._untold is None:
            return
        (key, place, event), self._untold = self._untold, None
        if character is None:
            if not _WITHOUT_TEXT & set(event["modifiers"]):
                return  # a dead key, or one of the number block without Num Lock
            character = glfw.get_key_name(key, place)
        if character is None or _is_of_another_script(character):
            if not 0 < key < 128:
                return
            character = chr(key) if "Shift" in event["modifiers"] else chr(key).lower()
        self._told[place] = character
        self.submit_event(event | {"key": character})


def _is_of_another_script(character: str) -> bool:
    return character.isalpha() and not unicodedata.name(character, "LATIN").startswith("LATIN")
