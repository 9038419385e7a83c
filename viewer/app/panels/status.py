"""The status bar: machine, runstate, frames, resolution, backlog, selection."""

from __future__ import annotations

from imgui_bundle import imgui

from viewer.app.desk import Desk
from viewer.app.spot import spot_lines

from . import Layout
from .theme import QUIET, TEXT, WARN, colour, fixed_window, plain

_GOOD = (90, 200, 140)
# Pages that wait to be drawn and are worth telling: a guest at work always has a few.
_MUCH = 256


def draw(desk: Desk, layout: Layout) -> None:
    """Draw the bar along the bottom."""
    extra = imgui.WindowFlags_.no_scrollbar | imgui.WindowFlags_.no_scroll_with_mouse
    imgui.push_style_var(imgui.StyleVar_.window_padding, imgui.ImVec2(10, layout.bar * 0.18))
    imgui.push_style_var(imgui.StyleVar_.window_min_size, imgui.ImVec2(1, 1))
    fixed_window("status", (0, layout.height - layout.bar), (layout.width, layout.bar), extra)
    for number, (text, tint) in enumerate(parts(desk)):
        if number:
            imgui.same_line(0, 18)
        imgui.text_colored(colour(tint), plain(text))
    imgui.end()
    imgui.pop_style_var(2)


def parts(desk: Desk) -> list[tuple[str, tuple[int, int, int]]]:
    """What the bar says, from the left, with colours."""
    width, height = desk.drawn_size
    rate = "at rest" if desk.is_idle else f"{desk.frames_per_s:.0f} fps"
    found = [runstate(desk), (rate, QUIET), (f"{width} x {height}", QUIET), (desk.eye.mode.value, QUIET)]
    backlog = desk.feed.backlog()
    if backlog >= _MUCH:
        found.append((f"{backlog} pages to go", WARN))
    spot = desk.spot()
    if spot is not None:
        kind, place, *_ = spot_lines(spot)
        found.append((f"{kind}, {place}", TEXT))
    elif desk.glow is not None:
        found.append((f"{desk.glow.title}: {len(desk.glow.pages)} pages", TEXT))
    return found


def runstate(desk: Desk) -> tuple[str, tuple[int, int, int]]:
    """(how the machine is, a colour)."""
    if desk.feed.error is not None:
        return f"{desk.name}: gone", WARN
    state = str(desk.status.get("runstate", ""))
    return f"{desk.name}: {state}" if state else desk.name, _GOOD if state == "running" else WARN if state else TEXT
