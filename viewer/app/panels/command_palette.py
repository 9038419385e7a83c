"""The search box, which is also a command palette: actions, places, processes, views and bytes in RAM."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from imgui_bundle import imgui

from qemu_bridge.errors import UsageError
from qemu_bridge.host.wildcards import has_wildcard
from qemu_bridge.memory.addresses import PAGE_SHIFT
from qemu_bridge.memory.ram import GuestRam
from qemu_bridge.wire.records import Symbol
from viewer.app import glow, highlighting, navigation
from viewer.app.commands import Command, Commands
from viewer.app.glow import FoundPages
from viewer.app.search import MOST_PLACES, Item, ask_place, ask_target, best_items, find_bytes, parse_pattern
from viewer.app.state import Hits, ViewerState
from viewer.picture.legend import legend_classes
from viewer.sources.queries import Topic
from viewer.sources.source import Ram
from viewer.sources.targets import pages_of

from .layout import Layout
from .processes import PROCESSES, select_process
from .theme import QUIET, colour, packed, plain, quiet

if TYPE_CHECKING:
    from qemu_bridge.client import Client

_WIDTH = 620.0
_MOST_LINES = 14
_CERTAIN = ("address", "view", "bytes", "wrong")
"""Kinds of a first line that no match of the daemon comes before."""
_TARGETS: Topic[tuple[str, ...]] = Topic("targets")
_SYMBOLS: Topic[tuple[Symbol, ...]] = Topic("symbols")


def draw(state: ViewerState, layout: Layout, commands: Commands) -> None:
    """Draw the box and do what is chosen in it."""
    box, scale = state.command_palette, state.settings.ui_scale
    width = min(_WIDTH * scale, layout.width * 0.96)
    imgui.set_next_window_pos(imgui.ImVec2((layout.width - width) / 2, layout.bar + 30 * scale))
    imgui.set_next_window_size(imgui.ImVec2(width, 0))
    flags = imgui.WindowFlags_.no_decoration | imgui.WindowFlags_.no_move | imgui.WindowFlags_.no_saved_settings
    imgui.push_style_var(imgui.StyleVar_.window_border_size, 1.0)
    imgui.set_next_window_focus()
    imgui.begin("palette", None, flags)
    if box.is_new:
        _ask_names(state)
        box.is_new = False
    imgui.set_keyboard_focus_here()
    imgui.set_next_item_width(-1)
    hint = 'an action, process, target, symbol, 0xaddress, "text, x:bytes or r:regex'
    changed, typed = imgui.input_text_with_hint(f"##query{box.openings}", hint, box.query)
    box.is_ready = imgui.is_item_active()
    if changed:
        box.query, box.chosen, box.is_entered = typed[:400], 0, False
        _ask_matches(state)
    items = find_items(state, commands)
    box.chosen = min(max(box.chosen + _step(), 0), max(len(items) - 1, 0))
    is_entered = imgui.is_key_pressed(imgui.Key.enter, False) or imgui.is_key_pressed(imgui.Key.keypad_enter, False)
    picked = _draw_items(items, box.chosen)
    imgui.end()
    imgui.pop_style_var()
    box.is_entered |= is_entered
    is_known = bool(items) and items[0].kind in _CERTAIN
    if picked is None and box.is_entered and (is_known or not _is_waiting(state)):
        box.is_entered = False
        picked = items[box.chosen] if items else None
    if picked is not None:
        box.is_open = False
        picked.run()
        state.wake()


def _is_waiting(state: ViewerState) -> bool:
    """Whether matches of the daemon are still to come, so that the best one is not known."""
    return state.queries.is_pending(_TARGETS) or state.queries.is_pending(_SYMBOLS)


def _step() -> int:
    return int(imgui.is_key_pressed(imgui.Key.down_arrow)) - int(imgui.is_key_pressed(imgui.Key.up_arrow))


def _draw_items(items: list[Item], chosen: int) -> Item | None:
    picked = None
    first = max(0, min(chosen - _MOST_LINES + 1, len(items) - _MOST_LINES))
    for number, item in enumerate(items[first : first + _MOST_LINES], first):
        place = imgui.get_cursor_screen_pos()
        width = imgui.get_content_region_avail().x
        if imgui.selectable(f"{plain(item.title)}##{number}", number == chosen)[0]:
            picked = item
        words = plain(item.detail or item.kind)
        x = place.x + width - imgui.calc_text_size(words).x - 4
        if x > place.x + imgui.calc_text_size(plain(item.title)).x + 12:
            imgui.get_window_draw_list().add_text(imgui.ImVec2(x, place.y), packed(QUIET), words)
    if not items:
        imgui.text_colored(colour(QUIET), "no match")
    elif len(items) > _MOST_LINES:
        quiet(f"{len(items) - _MOST_LINES} more")
    return picked


def _ask_names(state: ViewerState) -> None:
    state.queries.ask(PROCESSES, lambda client: client.ps().value)
    state.bookmarks.reload()


def _ask_matches(state: ViewerState) -> None:
    # What the daemon finds under that name; of several queries only the newest is sent.
    query = state.command_palette.query.strip()
    if len(query) >= 2 and query[0] not in '"' and not query.startswith(("x:", "r:")):
        state.queries.ask(_TARGETS, lambda client: client.targets(query).value, query)
        state.queries.ask(_SYMBOLS, lambda client: client.find_symbols(query).value, query)


def find_items(state: ViewerState, commands: Commands) -> list[Item]:
    """What the query finds, best first: exact meanings of it before names that are like it."""
    query = state.command_palette.query.strip()
    try:
        pattern = parse_pattern(query)
    except UsageError as error:
        return [Item(str(error), "wrong", lambda: None)]
    if pattern is not None:
        return [Item(f"find {query} in RAM", "bytes", lambda: find_in_ram(state, query))]
    return [
        *_exact_items(state, query),
        *best_items(query, [*_named_items(state, commands), *_symbol_items(state, query)]),
        *(_wildcard_items(state, query) if has_wildcard(query) else ()),
        *_target_items(state, query),
    ]


def _exact_items(state: ViewerState, query: str) -> Iterator[Item]:
    if query[:1].isdigit() and _is_number(query):
        yield Item(f"go to physical address {query}", "address", lambda: go_to(state, query))
    elif query.startswith(("pa:", "va:")) or "=" in query:
        is_view = query.startswith("yaw=") or "distance=" in query
        run = (lambda: navigation.jump(state, query)) if is_view else (lambda: go_to(state, query))
        yield Item(f"go to {query}", "view" if is_view else "address", run)


def _symbol_items(state: ViewerState, query: str) -> Iterator[Item]:
    answer = state.queries.result(_SYMBOLS)
    if query and answer is not None and answer.key == query:
        for symbol in answer.value or ():
            words = f"{symbol.address:#x}" + (f" [{symbol.module}]" if symbol.module else "")
            yield Item(symbol.name, "symbol", partial(go_to, state, symbol.name), words)


def _wildcard_items(state: ViewerState, query: str) -> Iterator[Item]:
    # Their names are not like the letters of the query, but they match it as a whole.
    symbols = list(_symbol_items(state, query))
    if len(symbols) > 1:
        yield Item(f"go to all that match {query}", "symbols", partial(go_to, state, f"sym:{query}"))
    yield from symbols


def _is_number(text: str) -> bool:
    try:
        return int(text, 0) >= 0
    except ValueError:
        return False


def _target_items(state: ViewerState, query: str) -> Iterator[Item]:
    answer = state.queries.result(_TARGETS)
    if answer is not None and answer.key == query:
        for target in (answer.value or ())[:200]:
            yield Item(target, "target", partial(go_to, state, target))
    if any(letter in query for letter in ":.") or query in ("all", "free", "kernel"):
        yield Item(f"go to {query}", "target", lambda: go_to(state, query))


def _named_items(state: ViewerState, commands: Commands) -> Iterator[Item]:
    for command in commands.all:
        keys = commands.key_names(command.name, 2)
        yield Item(command.title, "action", _runner(command, state), keys)
    for name, view in state.bookmarks.views.items():
        yield Item(name, "bookmark", partial(navigation.jump, state, view))
    for page_class in legend_classes(state.scene):
        yield Item(page_class.label, "class", partial(highlighting.highlight_class, state, page_class, fly=True))
    answer = state.queries.result(PROCESSES)
    for process in (answer is not None and answer.value) or ():
        title = f"{process.name} ({process.pid})"
        yield Item(title, "process", partial(select_process, state, process, fly=True))


def _runner(command: Command, state: ViewerState) -> Callable[[], None]:
    def run() -> None:
        command.run(state)

    return run


def go_to(state: ViewerState, query: str) -> None:
    """Fly to the memory that `query` means in each machine, when the answers come, and highlight it."""
    state.notify(f"going to {query}")
    for machine in state.machines:
        machine.queries.ask(glow.HIGHLIGHT, _finder(query, machine.scene.page_count), query)


def _finder(query: str, count: int) -> Callable[[Client], FoundPages]:
    def ask(client: Client) -> FoundPages:
        place = ask_place(client, query)
        memory = ask_target(client, query) if place is None or not _is_address(query) else None
        if place is not None:
            own = np.array([place >> PAGE_SHIFT]) if memory is None else pages_of(memory, count)
            return FoundPages(query, own.astype(np.int64), True, pin=int(place))
        if memory is None:
            raise UsageError(f"{query!r} is not found in this guest; see docs/targets.md for what can be written")
        starts = np.array([each.ram_offset for each in memory.ranges[:MOST_PLACES]], np.int64)
        hits = Hits(query, starts, len(memory.ranges) <= MOST_PLACES)
        return FoundPages(query, pages_of(memory, count), True, query, hits=hits)

    return ask


def _is_address(query: str) -> bool:
    return query[:1].isdigit() or query.startswith(("pa:", "va:"))


def find_in_ram(state: ViewerState, query: str) -> None:
    """Look for bytes in the RAM of each machine, on its query thread; the pages that hold them are highlighted."""
    state.notify(f"looking for {query}")
    for machine in state.machines:
        machine.queries.ask(glow.HIGHLIGHT, _looker(query, machine.source.ram), query)


def _looker(query: str, ram: Ram) -> Callable[[Client], FoundPages]:
    def look(client: Client) -> FoundPages:
        if not isinstance(ram, GuestRam):
            raise UsageError("only the RAM of a machine or a capture is searched; open one")
        found = find_bytes(ram, query)
        if not found.offsets and not found.is_complete:
            raise UsageError(
                f"{query} was not found before the search took too long, and not all of RAM was looked at; write a simpler pattern"
            )
        places = Hits(query, np.array(found.offsets, np.int64), found.is_complete)
        first = found.offsets[0] if found.offsets else None
        return FoundPages(query, found.pages(), True, pin=None if first is None else int(first), hits=places)

    return look
