"""The keyboard of a real window, under Xvfb with the keyboard maps of real layouts: characters count, not places of keys."""

from __future__ import annotations

import shutil

import pytest
from desktop import Typist
from PIL import Image
from support import OUT, needs_display

from viewer.app.commands import COMMANDS

pytestmark = [
    pytest.mark.window,
    needs_display,
    pytest.mark.skipif(shutil.which("setxkbmap") is None, reason="setxkbmap is not installed"),
]
SIGNS = {" ": "space", "/": "slash", "?": "question", "+": "plus", "-": "minus", "=": "equal"}


@pytest.fixture
def typist(display, tmp_path):
    opened = []

    def sit_down(does=""):
        opened.append(Typist(display, tmp_path, does))
        return opened[-1]

    yield sit_down
    for each in opened:
        each.process.kill()
        each.process.wait()


def test_every_command_has_its_character_on_every_layout_even_one_chosen_while_the_window_is_open(typist):
    somebody = typist()
    for layout in ("us", "fr", "de", "us dvorak", "es"):
        somebody.set_layout(*[layout.replace(" ", " -variant ")])
        for command in COMMANDS:
            for key in command.keys:
                *held, sign = [key] if len(key) == 1 else key.replace("--", "-minus").split("-")
                somebody.act("key", "+".join([*held, SIGNS.get(sign, sign)]))
                somebody.wait_for(f"pressed {key!r} {command.name}")
    # Of a layout without Latin letters the keys count by their places, and the layout's own signs by what they write.
    somebody.set_layout("ru")
    for code, told in (("41", "pressed 'f' frame"), ("58", "pressed 'm' colour"), ("37+52", "pressed 'ctrl-z' undo")):
        somebody.act("key", code)
        somebody.wait_for(told)


def test_escape_closes_what_is_open_and_never_the_window(typist):
    somebody = typist("all")
    somebody.set_layout("fr")
    somebody.act("mousemove", "20", "10", "click", "1")
    somebody.wait_for("menu True")
    Image.fromarray(somebody.grab()[:360, :640]).save(OUT / "keyboard-menu.png")
    somebody.act("key", "Escape")
    somebody.wait_for("menu False")
    somebody.act("mousemove", "320", "200")
    somebody.act("key", "question")
    somebody.wait_for("help True")
    somebody.act("key", "Escape", "key", "Escape", "key", "Escape")
    somebody.wait_for("help False")
    somebody.act("key", "slash")
    somebody.wait_for("palette True ''")
    somebody.act("key", "Escape")
    somebody.wait_for("palette False ''")
    somebody.act("key", "q")
    assert somebody.process.wait(timeout=120) == 0
    assert "Traceback" not in somebody.log.read_text()


def test_no_letter_is_lost_that_is_typed_right_after_a_box_opens_or_closes(typist):
    somebody = typist("search")
    somebody.set_layout("de")
    somebody.act("key", "--delay", "1", "slash", *"hello")
    somebody.wait_for("palette True 'hello'")
    somebody.act("key", "--delay", "1", "Escape", "m", "slash", *"zyx")
    for told in ("pressed 'm' colour", "pressed '/' search", "palette True 'zyx'"):
        somebody.wait_for(told)
    somebody.act("key", "--delay", "1", "Escape", "f")
    somebody.wait_for("pressed 'f' frame")
    # Nothing of either word was taken for a command.
    pressed = [line for line in somebody.lines() if line.startswith("pressed") and "None" not in line]
    assert [line.split()[-1] for line in pressed] == ["search", "colour", "search", "frame"]
