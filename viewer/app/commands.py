"""Every command in one table: the menu, the keys, the list of keys and the command palette are made from it.

A key is written as in `viewer.app.key_names.key_text`. Drags and held keys, which are no commands, stand in `GESTURES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ..picture.legend import legend_classes
from ..sources.queries import Topic
from ..view.look import Mode as LookMode
from ..view.palette import PALETTES
from ..view.views import Mode, format_view
from . import appearance, highlighting, navigation, selection
from .key_names import key_name
from .state import RUNSTATE, ViewerState


@dataclass(frozen=True, slots=True)
class Command:
    """An action: a unique name, its title, its menu, its keys, and what it does."""

    name: str
    title: str
    menu: str
    keys: tuple[str, ...]
    run: Callable[[ViewerState], object]


_GUEST: Topic[object] = Topic("guest")

GESTURES = (
    ("drag", "turn (orbit), look around (fly), move (top)"),
    ("right drag, shift drag", "move sideways"),
    ("wheel", "nearer to what is under the pointer, farther from it"),
    ("arrow keys", "turn, or move over the map"),
    ("W A S D, E, C", "move, rise and sink while flying"),
    ("hover", "what is under the cursor"),
    ("click", "select a byte and inspect it; on empty space clear the selection"),
    ("1-9", "show or hide a class of the legend"),
    ("Enter, arrows", "choose in the search box"),
)


def _panel(name: str) -> Callable[[ViewerState], None]:
    return lambda state: state.open_panel(name, not state.is_open(name))


def _move_mode(mode: Mode) -> Callable[[ViewerState], None]:
    return lambda state: navigation.set_mode(state, mode)


def _tab(name: str) -> Callable[[ViewerState], None]:
    def show(state: ViewerState) -> None:
        state.open_panel("details")
        state.tab = name
        state.wake()

    return show


def _open_palette(state: ViewerState) -> None:
    state.command_palette.is_open = state.command_palette.is_new = True
    state.command_palette.query, state.command_palette.chosen = "", 0
    state.controller.release_keys()
    state.wake()


def _toggle_help(state: ViewerState) -> None:
    state.is_help_open = not state.is_help_open
    state.wake()


def _zoom(steps: float) -> Callable[[ViewerState], None]:
    def zoom(state: ViewerState) -> None:
        navigation.mark(state, "wheel")
        state.controller.wheel(steps)
        state.wake()

    return zoom


def _scale(factor: float) -> Callable[[ViewerState], None]:
    def scale(state: ViewerState) -> None:
        wanted = min(max(state.settings.ui_scale * factor, 0.5), 4.0) if factor else 1.0
        state.settings, state.is_dirty_settings = replace(state.settings, ui_scale=round(wanted, 3)), True
        state.wake()

    return scale


def _freeze(state: ViewerState) -> None:
    state.notify("the picture is frozen; space resumes it" if state.watcher.toggle_pause() else "the picture is live")


def _guest(verb: str, done: str) -> Callable[[ViewerState], None]:
    def ask(state: ViewerState) -> None:
        state.queries.ask(_GUEST, lambda client: getattr(client, verb)())
        state.queries.ask(RUNSTATE, lambda client: client.status().runstate)
        state.notify(done)

    return ask


def _isolate_selected(state: ViewerState) -> None:
    picked = selection.pinned(state)
    if picked is None:
        state.notify("select a byte first: click on it")
    else:
        appearance.isolate(state, picked.page_class)


def _colour_mode(state: ViewerState) -> None:
    modes = list(LookMode)
    appearance.set_look(
        state, replace(state.scene.look, mode=modes[(modes.index(state.scene.look.mode) + 1) % len(modes)])
    )
    state.notify(f"colour: {state.scene.look.mode.label}")


def _colour(mode: LookMode) -> Callable[[ViewerState], None]:
    return lambda state: appearance.set_look(state, replace(state.scene.look, mode=mode))


def _next_palette(state: ViewerState) -> None:
    names = list(PALETTES)
    appearance.set_look(
        state, replace(state.scene.look, palette=names[(names.index(state.scene.look.palette) + 1) % len(names)])
    )
    state.notify(f"palette {state.scene.look.palette}")


def _switch(name: str) -> Callable[[ViewerState], None]:
    def switch(state: ViewerState) -> None:
        changed: dict[str, Any] = {name: not getattr(state.scene.look, name)}
        appearance.set_look(state, replace(state.scene.look, **changed))

    return switch


COMMANDS: tuple[Command, ...] = (
    Command("search", "Search, or run a command", "Go", ("ctrl-p", "/"), _open_palette),
    Command("frame", "Frame the selection", "Go", ("f",), lambda state: navigation.frame(state)),
    Command("home", "First view", "Go", ("r", "Home"), navigation.go_home),
    Command("undo", "Undo", "Go", ("u", "ctrl-z"), lambda state: navigation.undo(state)),
    Command("redo", "Redo", "Go", ("U", "ctrl-y", "ctrl-shift-z"), lambda state: navigation.redo(state)),
    Command("next-page", "Next page of this owner", "Go", ("n",), lambda state: navigation.step_page(state, 1)),
    Command(
        "previous-page", "Previous page of this owner", "Go", ("p",), lambda state: navigation.step_page(state, -1)
    ),
    Command("bookmark", "Bookmark this view", "Go", ("b",), lambda state: navigation.add_bookmark(state)),
    Command(
        "copy-view",
        "Copy this view as text",
        "Go",
        ("y",),
        lambda state: state.copy(format_view(state.view), "this view: glassbox view NAME --at TEXT"),
    ),
    Command("orbit", "Orbit", "Camera", ("o",), _move_mode(Mode.ORBIT)),
    Command("fly", "Fly", "Camera", ("v",), _move_mode(Mode.FLY)),
    Command("top", "Top view", "Camera", ("t",), _move_mode(Mode.TOP)),
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
    Command("all", "All layers", "Show", ("0",), lambda state: appearance.show_all(state)),
    Command("isolate", "Only the selected class", "Show", ("i",), _isolate_selected),
    Command("no-highlight", "Clear the highlight", "Show", ("x",), lambda state: highlighting.clear_highlight(state)),
    Command("colour", "Next colouring", "Colour", ("m",), _colour_mode),
    *(Command(f"colour-{mode.value}", f"Colour: {mode.label}", "Colour", (), _colour(mode)) for mode in LookMode),
    Command("palette", "Next palette", "Colour", ("k",), _next_palette),
    Command("edges", "Owner boundaries", "Colour", ("h",), _switch("owner_edges")),
    Command("shading", "Shading", "Colour", (), _switch("shading")),
    Command("heat", "Glow of writes", "Colour", (), _switch("heat")),
    Command("larger", "Larger text", "Show", ("ctrl-+", "ctrl-="), _scale(1.15)),
    Command("smaller", "Smaller text", "Show", ("ctrl--",), _scale(1 / 1.15)),
    Command("usual", "Default text size", "Show", ("ctrl-0",), _scale(0)),
    Command("freeze", "Freeze or resume the picture", "Machine", (" ",), _freeze),
    Command("pause", "Pause the guest", "Machine", (), _guest("pause", "pausing the guest")),
    Command("resume", "Resume the guest", "Machine", (), _guest("resume", "resuming the guest")),
    Command("help", "Keys", "Help", ("?", "F1"), _toggle_help),
)


class Commands:
    """The table with what a window adds to it, and the keys that lead into it."""

    def __init__(self, own: tuple[Command, ...] = ()) -> None:
        self.all = COMMANDS + own
        self._by_key = {key: command for command in self.all for key in command.keys}

    def press(self, state: ViewerState, key: str) -> bool:
        """Do what `key` stands for; return whether it stands for anything."""
        command = self._by_key.get(key)
        if command is not None:
            command.run(state)
        elif len(key) == 1 and key in "123456789":
            shown = legend_classes(state.scene)
            if int(key) <= len(shown):
                appearance.toggle(state, [shown[int(key) - 1]])
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
