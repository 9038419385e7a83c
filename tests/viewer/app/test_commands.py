"""The table of commands is what docs/viewer.md lists."""

from __future__ import annotations

from pathlib import Path

from viewer.app import selection
from viewer.app.commands import WALK_KEYS, Commands
from viewer.app.key_names import key_name

UNSAID = ("space", "=", "ctrl-=")  # space stands there in words, the others are the unshifted plus
TEXT = (Path(__file__).resolve().parents[3] / "docs/viewer.md").read_text()


def test_every_key_is_documented():
    for command in Commands().all:
        for key in command.keys:
            assert f"`{key_name(key)}`" in TEXT or key_name(key) in UNSAID, f"{key} is not in docs/viewer.md"


def test_the_list_of_keys_has_every_command():
    listed = {name for name, _, _ in Commands().help_lines()}
    assert {command.name for command in Commands().all} | set(WALK_KEYS) == listed


def test_another_key_is_taken_from_what_had_it_and_the_first_ones_come_back(state):
    commands = Commands(chosen={"frame": ("m", "ctrl-f"), "nothing": ("x",)})
    assert commands.keys("frame") == ("m", "ctrl-f") and commands.keys("colour") == ()
    assert len(commands.problems) == 1 and "nothing" in commands.problems[0]
    before = state.scene.look
    assert commands.press(state, "m") and state.scene.look == before and not commands.press(state, "f")
    assert commands.bind("walk-left", ("m",)) == {"frame": ("m", "ctrl-f"), "walk-left": ("m",)}
    assert commands.walk("m") == "left" and commands.walk("a") == "" and commands.keys("frame") == ("m", "ctrl-f")
    assert commands.bind("colour", ("ctrl-f",))["frame"] == ("m",)
    assert commands.is_changed("frame") and not commands.bind("frame", None).keys() & {"frame"}
    assert commands.keys("frame") == ("f",) and not commands.is_changed("frame")
    assert Commands(chosen=commands.bind("frame", ())).key_names("frame") == ""


def test_every_key_is_bound_once_and_every_command_runs(state):
    commands = Commands()
    keys = [key for command in commands.all for key in command.keys]
    assert len(keys) == len(set(keys)) and len({command.name for command in commands.all}) == len(commands.all)
    selection.select(state, 0x45000)
    for command in commands.all:
        command.run(state)
    assert commands.press(state, "1") and not commands.press(state, "F12")
