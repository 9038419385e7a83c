"""The transfer function of bytes: which show, how bright and how solid, over their histogram."""

from __future__ import annotations

from dataclasses import replace

from imgui_bundle import imgui

from viewer.app import appearance
from viewer.app.state import ViewerState
from viewer.view.look import Transfer


def draw(state: ViewerState) -> None:
    """Draw the histogram of bytes that show, and what drags change: low, high, gamma, opacity."""
    tone = state.scene.look.transfer
    size = imgui.ImVec2(imgui.get_content_region_avail().x, 3 * imgui.get_text_line_height())
    counts = state.histogram.values(state.scene, state.source.ram.view)
    imgui.plot_histogram("##bytes", counts, graph_size=size)
    imgui.set_next_item_width(-1)
    moved, low, high = imgui.drag_int_range2("##range", tone.low, tone.high, 1, 0, 255, "from 0x%02x", "to 0x%02x")
    imgui.set_next_item_width(-1)
    bent, gamma = imgui.slider_float("##gamma", tone.gamma, 0.1, 10, "gamma %.2f", imgui.SliderFlags_.logarithmic)
    imgui.set_next_item_width(-1)
    thinned, opacity = imgui.slider_float("##opacity", tone.opacity, 0, 1, "opacity %.2f")
    if moved or bent or thinned:
        set_transfer(state, low, high, gamma, opacity)


def set_transfer(state: ViewerState, low: int, high: int, gamma: float, opacity: float) -> None:
    """Draw bytes from `low` to `high` so; numbers typed out of range are moved into it."""
    low = min(max(low, 0), 255)
    tone = Transfer(low, min(max(high, low), 255), min(max(gamma, 0.1), 10.0), min(max(opacity, 0.0), 1.0))
    appearance.set_look(state, replace(state.scene.look, transfer=tone))
