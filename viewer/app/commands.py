"""Every command in one table: the menu, the keys, the list of keys and the command palette are made from it.

A key is written as in `viewer.app.key_names.key_text`; the user's settings may give a command others. Keys that walk while they are
held are rows of `WALK_KEYS`, with the same kind of name; drags and other held keys stand in `GESTURES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from ..picture.legend import legend_classes
from ..sources.queries import Topic
from ..view.look import Mode as LookMode
from ..view.palette import PALETTES
from ..view.views import Mode, format_view
from . import appearance, glow, hits, navigation, selection
from .camera_controller import WALKS
from .key_names import key_name
from .state import RUNSTATE, ViewerState


@dataclass(frozen=True, slots=True)
class Command:
    """An action: a unique name, its title, its menu, its keys at first, and what it does."""

    name: str
    title: str
    menu: str
    keys: tuple[str, ...]
    run: Callable[[ViewerState], object]


_GUEST: Topic[object] = Topic("guest")

WALK_KEYS = {f"walk-{way}": (key,) for way, key in zip(WALKS, "wsadec", strict=True)}
GESTURES = (
    ("drag", "turn (orbit), look around (fly), move (top)"),
    ("right drag, shift drag", "move sideways"),
    ("wheel", "nearer to what is under the pointer, farther from it"),
    ("arrow keys", "turn, or move over the map"),
    ("hover", "what is under the cursor"),
    ("click", "select a byte and inspect it; on empty space clear the selection"),
    ("1-9", "show or hide a class of the legend"),
    ("Enter, arrows", "choose in the search box"),
    ("ctrl-v, shift-Insert", "paste into a field"),
    ("Esc", "close what is open, or clear the selection, then the highlight"),
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
    state.command_palette.openings += 1
    state.command_palette.is_ready = state.command_palette.is_entered = False
    state.command_palette.query, state.command_palette.chosen = "", 0
    state.controller.release_keys()
    state.wake()


def _toggle_help(state: ViewerState) -> None:
    state.is_help_open, state.rebinding = not state.is_help_open, ""
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
    is_frozen = [machine.watcher.toggle_pause() for machine in state.machines]
    state.notify("the picture is frozen; space resumes it" if is_frozen[0] else "the picture is live")


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


def _clear_highlight(state: ViewerState) -> None:
    glow.clear_highlight(state)
    hits.show(state, None)


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
    Command("next-hit", "Next hit of the search", "Go", ("F8", "ctrl-g"), lambda state: hits.step(state, 1)),
    Command("previous-hit", "Previous hit", "Go", ("shift-F8", "ctrl-shift-g"), lambda state: hits.step(state, -1)),
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
    Command("hits", "Hits of the search", "Show", ("F9",), _tab("Hits")),
    Command("processes", "Processes", "Show", ("F4",), _tab("Processes")),
    Command("overlays", "Overlays", "Show", ("F5",), _tab("Overlays")),
    Command("launches", "Launches of kernels", "Show", ("L",), _tab("Launches")),
    Command("gpu", "The GPU that guests share", "Show", ("G",), _tab("GPU")),
    Command("views", "Views and bookmarks", "Show", ("F6",), _tab("Views")),
    Command("labels", "Labels", "Show", ("l",), _panel("labels")),
    Command("minimap", "Minimap of all RAM", "Show", ("F7",), _panel("minimap")),
    Command("all", "All layers", "Show", ("0",), lambda state: appearance.show_all(state)),
    Command("isolate", "Only the selected class", "Show", ("i",), _isolate_selected),
    Command("no-highlight", "Clear the highlight", "Show", ("x",), _clear_highlight),
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
    """The table with what a window adds to it, and the keys that lead into it.

    Attributes:
        problems: a sentence for each key of the settings that was ignored.
    """

    def __init__(
        self, own: tuple[Command, ...] = (), chosen: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    ) -> None:
        """`chosen` are the user's keys, by a command's or a walk's name; what they take, nothing else has any more."""
        self.all = COMMANDS + own
        self._usual = {command.name: command.keys for command in self.all} | WALK_KEYS
        self.problems = [
            f"there is no command {name!r:.40}; ? lists them" for name in chosen if name not in self._usual
        ]
        self._keys: dict[str, tuple[str, ...]] = {}
        self._choose({name: keys for name, keys in chosen.items() if name in self._usual})

    def _choose(self, chosen: Mapping[str, tuple[str, ...]]) -> None:
        # Walking has keys of its own: while flying they come before those of commands.
        taken = {(name in WALK_KEYS, key) for name, keys in chosen.items() for key in keys}
        usual = {
            name: tuple(key for key in keys if (name in WALK_KEYS, key) not in taken)
            for name, keys in self._usual.items()
        }
        self._chosen, self._keys = chosen, usual | dict(chosen)
        self._by_key = {key: command for command in self.all for key in self._keys[command.name]}
        self._walks = {key: name.removeprefix("walk-") for name in WALK_KEYS for key in self._keys[name]}

    def keys(self, name: str) -> tuple[str, ...]:
        """The keys of a command, or of a way to walk, by name."""
        return self._keys[name]

    def bind(self, name: str, keys: tuple[str, ...] | None) -> Mapping[str, tuple[str, ...]]:
        """Give `name` other keys, taken from whatever had them, or with None those of the beginning; return all that were chosen."""
        is_walk = name in WALK_KEYS
        kept = {
            other: had if (other in WALK_KEYS) is not is_walk else tuple(key for key in had if key not in (keys or ()))
            for other, had in self._chosen.items()
            if other != name
        }
        self._choose(kept if keys is None else kept | {name: keys})
        return self._chosen

    def is_changed(self, name: str) -> bool:
        """Whether `name` has other keys than at first."""
        return self._keys[name] != self._usual[name]

    def walk(self, key: str) -> str:
        """The way that `key` walks while it is held; empty for none."""
        return self._walks.get(key, "")

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

    def key_names(self, name: str, most: int = 9) -> str:
        """The keys of a command as people write them; `most` of them."""
        return ", ".join(map(key_name, self._keys[name][:most]))

    def help_lines(self) -> Iterator[tuple[str, str, str]]:
        """Yield (name, title, menu) of everything that can have a key."""
        for menu, commands in self.menus().items():
            for command in commands:
                yield command.name, command.title, menu
        for name in WALK_KEYS:
            yield name, f"Fly {name.removeprefix('walk-')}, while held", "Camera"
