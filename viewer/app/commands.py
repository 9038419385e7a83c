"""Everything one can do, in one table: the menu, the keys, the list of keys and the palette are all made from it.

A key is written as in `viewer.app.input.key_text`. Drags and held keys, which are no commands, stand in `GESTURES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ..picture.legend import legend_classes
from ..view.look import Mode as LookMode
from ..view.palette import PALETTES
from ..view.views import Mode, format_view
from .desk import Desk


@dataclass(frozen=True, slots=True)
class Command:
    """An action: its title, its menu, its keys, and what it does; `name` is what the window adds its own under."""

    name: str
    title: str
    menu: str
    keys: tuple[str, ...]
    run: Callable[[Desk], object]


GESTURES = (
    ("drag", "turn (orbit), look around (fly), move (top)"),
    ("right drag, shift drag", "move sideways"),
    ("wheel", "nearer, farther"),
    ("arrow keys", "turn, or move over the map"),
    ("W A S D, E, C", "walk, rise and sink while flying"),
    ("hover", "what is under the cursor"),
    ("click", "pin a byte and inspect it; on air let it go"),
    ("1-9", "show or hide a class of the legend"),
    ("Enter, arrows", "choose in the search box"),
)


def _panel(name: str) -> Callable[[Desk], None]:
    return lambda desk: desk.open_panel(name, not desk.is_open(name))


def _mode(mode: Mode) -> Callable[[Desk], None]:
    return lambda desk: desk.set_mode(mode)


def _tab(name: str) -> Callable[[Desk], None]:
    def show(desk: Desk) -> None:
        desk.open_panel("details")
        desk.tab = name
        desk.wake()

    return show


def _open_palette(desk: Desk) -> None:
    desk.palette.is_open = desk.palette.is_new = True
    desk.palette.query, desk.palette.chosen = "", 0
    desk.eye.let_go()
    desk.wake()


def _toggle_help(desk: Desk) -> None:
    desk.is_help_open = not desk.is_help_open
    desk.wake()


def _home(desk: Desk) -> None:
    desk.mark("home")
    desk.eye.fly_to(desk.eye.home)
    desk.wake()


def _zoom(steps: float) -> Callable[[Desk], None]:
    def zoom(desk: Desk) -> None:
        desk.mark("wheel")
        desk.eye.wheel(steps)
        desk.wake()

    return zoom


def _scale(factor: float) -> Callable[[Desk], None]:
    def scale(desk: Desk) -> None:
        wanted = min(max(desk.settings.ui_scale * factor, 0.5), 4.0) if factor else 1.0
        desk.settings, desk.is_dirty_settings = replace(desk.settings, ui_scale=round(wanted, 3)), True
        desk.wake()

    return scale


def _hold(desk: Desk) -> None:
    desk.say("the picture is held; space goes on" if desk.feed.toggle_pause() else "going on")


def _guest(verb: str, done: str) -> Callable[[Desk], None]:
    def ask(desk: Desk) -> None:
        desk.questions.ask("guest", lambda client: getattr(client, verb)())
        desk.questions.ask("status", lambda client: client.status())
        desk.say(done)

    return ask


def _isolate_selected(desk: Desk) -> None:
    spot = desk.spot()
    if spot is None:
        desk.say("select a byte first: click on it")
    else:
        desk.isolate(spot.page_class)


def _colour_mode(desk: Desk) -> None:
    modes = list(LookMode)
    desk.set_look(replace(desk.scene.look, mode=modes[(modes.index(desk.scene.look.mode) + 1) % len(modes)]))
    desk.say(f"colour: {desk.scene.look.mode.label}")


def _colour(mode: LookMode) -> Callable[[Desk], None]:
    return lambda desk: desk.set_look(replace(desk.scene.look, mode=mode))


def _next_palette(desk: Desk) -> None:
    names = list(PALETTES)
    desk.set_look(replace(desk.scene.look, palette=names[(names.index(desk.scene.look.palette) + 1) % len(names)]))
    desk.say(f"palette {desk.scene.look.palette}")


def _switch(name: str) -> Callable[[Desk], None]:
    def switch(desk: Desk) -> None:
        changed: dict[str, Any] = {name: not getattr(desk.scene.look, name)}
        desk.set_look(replace(desk.scene.look, **changed))

    return switch


COMMANDS: tuple[Command, ...] = (
    Command("search", "Search or do anything", "Go", ("ctrl-p", "/"), _open_palette),
    Command("frame", "Frame the selection", "Go", ("f",), lambda desk: desk.frame()),
    Command("home", "First view", "Go", ("r", "Home"), _home),
    Command("undo", "Undo move", "Go", ("u", "ctrl-z"), lambda desk: desk.undo()),
    Command("redo", "Redo move", "Go", ("U", "ctrl-y", "ctrl-shift-z"), lambda desk: desk.redo()),
    Command("next-page", "Next page of this owner", "Go", ("n",), lambda desk: desk.step_page(1)),
    Command("previous-page", "Previous page of this owner", "Go", ("p",), lambda desk: desk.step_page(-1)),
    Command("bookmark", "Bookmark this view", "Go", ("b",), lambda desk: desk.add_bookmark()),
    Command(
        "copy-view",
        "Copy this view as text",
        "Go",
        ("y",),
        lambda desk: desk.copy(format_view(desk.view), "this view: glassbox view NAME --at TEXT"),
    ),
    Command("orbit", "Orbit", "Camera", ("o",), _mode(Mode.ORBIT)),
    Command("fly", "Fly", "Camera", ("v",), _mode(Mode.FLY)),
    Command("top", "From the top", "Camera", ("t",), _mode(Mode.TOP)),
    Command("nearer", "Nearer", "Camera", ("+", "="), _zoom(2)),
    Command("farther", "Farther", "Camera", ("-",), _zoom(-2)),
    Command("layers", "Layers", "Show", ("F2",), _panel("layers")),
    Command("details", "Details", "Show", ("F3",), _panel("details")),
    Command("inspector", "Inspector", "Show", (), _tab("Inspector")),
    Command("processes", "Processes", "Show", ("F4",), _tab("Processes")),
    Command("overlays", "Overlays", "Show", ("F5",), _tab("Overlays")),
    Command("views", "Views and bookmarks", "Show", ("F6",), _tab("Views")),
    Command("labels", "Labels", "Show", ("l",), _panel("labels")),
    Command("minimap", "Minimap of all RAM", "Show", ("F7",), _panel("minimap")),
    Command("all", "All layers", "Show", ("0",), lambda desk: desk.show_all()),
    Command("isolate", "Only the selected class", "Show", ("i",), _isolate_selected),
    Command("no-glow", "Stop the glow", "Show", ("x",), lambda desk: desk.drop_glow()),
    Command("colour", "Next colouring", "Colour", ("m",), _colour_mode),
    *(Command(f"colour-{mode.value}", f"Colour: {mode.label}", "Colour", (), _colour(mode)) for mode in LookMode),
    Command("palette", "Next palette", "Colour", ("k",), _next_palette),
    Command("edges", "Edges of owners", "Colour", ("h",), _switch("owner_edges")),
    Command("shading", "Shading", "Colour", (), _switch("shading")),
    Command("heat", "Glow of writes", "Colour", (), _switch("heat")),
    Command("larger", "Larger words", "Show", ("ctrl-+", "ctrl-="), _scale(1.15)),
    Command("smaller", "Smaller words", "Show", ("ctrl--",), _scale(1 / 1.15)),
    Command("usual", "Words of usual size", "Show", ("ctrl-0",), _scale(0)),
    Command("hold", "Hold the picture, go on", "Machine", (" ",), _hold),
    Command("pause", "Pause the guest", "Machine", (), _guest("pause", "pausing the guest")),
    Command("resume", "Let the guest go on", "Machine", (), _guest("resume", "letting the guest go on")),
    Command("help", "Keys", "Help", ("?", "F1"), _toggle_help),
)


def key_name(key: str) -> str:
    """A key as people write it."""
    return {" ": "space", "Escape": "Esc"}.get(key, key)


class Commands:
    """The table with what a window adds to it, and the keys that lead into it."""

    def __init__(self, own: tuple[Command, ...] = ()) -> None:
        self.all = COMMANDS + own
        self._by_key = {key: command for command in self.all for key in command.keys}

    def press(self, desk: Desk, key: str) -> bool:
        """Do what `key` stands for; return whether it stands for anything."""
        command = self._by_key.get(key)
        if command is not None:
            command.run(desk)
        elif len(key) == 1 and key in "123456789":
            shown = legend_classes(desk.scene)
            if int(key) <= len(shown):
                desk.toggle([shown[int(key) - 1]])
        else:
            return False
        return True

    def menus(self) -> dict[str, list[Command]]:
        """The commands by menu, in order."""
        menus: dict[str, list[Command]] = {}
        for command in self.all:
            menus.setdefault(command.menu, []).append(command)
        return menus

    def help_lines(self) -> Iterator[tuple[str, str, str]]:
        """Yield (menu, keys, effect) of every key and gesture."""
        for keys, effect in GESTURES:
            yield "Mouse and held keys", keys, effect
        for menu, commands in self.menus().items():
            for command in commands:
                if command.keys:
                    yield menu, ", ".join(map(key_name, command.keys)), command.title
