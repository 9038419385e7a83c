"""The status bar: machine, runstate, frames, resolution, backlog, selection."""

from __future__ import annotations

from imgui_bundle import imgui

from qemu_bridge.wire.records import Runstate
from viewer.app import hits, selection
from viewer.app.pick import pick_lines
from viewer.app.state import ViewerState

from .layout import Layout
from .theme import ACCENT, QUIET, TEXT, WARN, colour, fixed_window, plain

_GOOD = (90, 200, 140)
# Fewer pending pages are not worth showing: a busy guest always has some.
_MUCH = 256


def draw(state: ViewerState, layout: Layout) -> None:
    """Draw the bar along the bottom."""
    extra = imgui.WindowFlags_.no_scrollbar | imgui.WindowFlags_.no_scroll_with_mouse
    imgui.push_style_var(imgui.StyleVar_.window_padding, imgui.ImVec2(10, layout.bar * 0.18))
    imgui.push_style_var(imgui.StyleVar_.window_min_size, imgui.ImVec2(1, 1))
    fixed_window("status", (0, layout.height - layout.bar), (layout.width, layout.bar), extra)
    for number, (text, tint) in enumerate(parts(state)):
        if number:
            imgui.same_line(0, 18)
        imgui.text_colored(colour(tint), plain(text))
    imgui.end()
    imgui.pop_style_var(2)


def parts(state: ViewerState) -> list[tuple[str, tuple[int, int, int]]]:
    """What the bar says, from the left, with colours."""
    width, height = state.drawn_size
    rate = "idle" if state.is_idle else f"{state.frames_per_s:.0f} fps"
    found = [runstate(state), (rate, QUIET), (f"{width} x {height}", QUIET), (state.controller.mode.value, QUIET)]
    if state.backlog >= _MUCH:
        found.append((f"{state.backlog} pages pending", WARN))
    if state.progress:
        found.append((state.progress, WARN))
    if state.hits is not None:
        found.append((hits.summary(state), ACCENT))
    picked = selection.pinned(state)
    if picked is not None:
        kind, place, *_ = pick_lines(picked)
        found.append((f"{kind}, {place}", TEXT))
    elif state.highlight is not None and state.hits is None:
        found.append((f"{state.highlight.title}: {len(state.highlight.pages)} pages", TEXT))
    return found


def runstate(state: ViewerState) -> tuple[str, tuple[int, int, int]]:
    """(name and runstate of the machine, a colour)."""
    if state.watcher.error is not None:
        return f"{state.name}: gone", WARN
    if state.runstate is None:
        return state.name, TEXT
    is_running = state.runstate is Runstate.RUNNING
    return f"{state.name}: {state.runstate.value}", _GOOD if is_running else WARN
