"""The table of commands is what docs/viewer.md lists."""

from __future__ import annotations

from pathlib import Path

from viewer.app import selection
from viewer.app.commands import Commands
from viewer.app.key_names import key_name

UNSAID = ("space", "=", "ctrl-=")  # space stands there in words, the others are the unshifted plus
TEXT = (Path(__file__).resolve().parents[3] / "docs/viewer.md").read_text()


def test_every_key_is_documented():
    for command in Commands().all:
        for key in command.keys:
            assert f"`{key_name(key)}`" in TEXT or key_name(key) in UNSAID, f"{key} is not in docs/viewer.md"


def test_the_list_of_keys_has_every_bound_command():
    listed = {effect for _, _, effect in Commands().help_lines()}
    assert {command.title for command in Commands().all if command.keys} <= listed


def test_every_key_is_bound_once_and_every_command_runs(state):
    commands = Commands()
    keys = [key for command in commands.all for key in command.keys]
    assert len(keys) == len(set(keys)) and len({command.name for command in commands.all}) == len(commands.all)
    selection.select(state, 0x45000)
    for command in commands.all:
        command.run(state)
    assert commands.press(state, "1") and not commands.press(state, "F12")
