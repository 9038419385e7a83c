"""The panels, drawn offscreen: all of them, at several sizes, with answers and with errors."""

from __future__ import annotations

import time

import numpy as np
import pytest

from qemu_bridge.wire.records import MemoryMapping, OverlayInfo, OverlayTable, Process, TypeField, TypeLayout
from viewer.app import selection
from viewer.app.commands import Commands
from viewer.app.panels import lay_out
from viewer.app.panels.overlays import format_cell, target_of
from viewer.sources.queries import QueryResult
from viewer.view.inspector import decode_struct

pytestmark = pytest.mark.usefixtures("no_errors")


@pytest.mark.parametrize("size", [(1280.0, 760.0), (640.0, 360.0), (300.0, 200.0), (20.0, 20.0)])
def test_panels_never_lie_over_each_other(size):
    layout = lay_out(size, 1.0, True, 430)
    assert layout.left + layout.right <= max(size[0], 1)
    assert layout.middle_width >= 1 and layout.body_height >= 1
    assert abs(layout.shift[0]) <= 1


@pytest.fixture(scope="module")
def ui(device):
    from rendercanvas.offscreen import RenderCanvas
    from wgpu.utils.imgui import ImguiRenderer

    from viewer.app.panels import theme

    canvas = RenderCanvas(size=(1100, 700))
    renderer = ImguiRenderer(device, canvas, "rgba8unorm")
    look = theme.Theme()
    look.apply(1.0)
    theme.MONO[:] = [look.mono]
    yield canvas, renderer
    theme.MONO.clear()
    canvas.close()


def draw(ui, state) -> np.ndarray:
    from viewer.app.panels import command_palette, details, help, layers, marks, menu, status

    canvas, renderer = ui
    layout, commands = lay_out((1100, 700), 1.0, True, 430), Commands()

    def body():
        marks.draw(state, layout, [], 1.0)
        menu.draw(state, commands)
        layers.draw(state, layout)
        details.draw(state, layout)
        status.draw(state, layout)
        if state.is_help_open:
            help.draw(state, layout, commands)
        if state.command_palette.is_open:
            command_palette.draw(state, layout, commands)

    renderer.set_gui(body)
    canvas.request_draw(renderer.render)
    for _ in range(3):
        picture = np.asarray(canvas.draw())
    return picture


def answers(state) -> None:
    def put(topic, value, key=None):
        state.queries._results[topic] = QueryResult(key, value, "", time.monotonic() + 60)

    process = Process(1, 0, 0, "S", "in##it", "/sbin/init %s", 4096, 1, 200)
    put("ps", [process, Process(2, 0, 0, "S", "kthreadd", "", None, 1, 0)])
    put("maps", [MemoryMapping(0x1000, 0x2000, "r-xp", 0, "0:1", 5, "/bin/x")], 1)
    put("overlays", [OverlayInfo("slabs", "s", ("name",), "built in")])
    put("overlay", OverlayTable("slabs", ("name", "cache:#x"), ({"name": "dentry", "cache": 5},), True, ()), "slabs")
    state.mapping_pid = 1


@pytest.mark.parametrize("tab", ["Inspector", "Processes", "Overlays", "Views"])
def test_every_tab_draws_something_of_its_own(ui, state, tab):
    selection.select(state, 0x45010)
    answers(state)
    state.tab = tab
    first = draw(ui, state)
    assert first[60:, 700:].max() > 180
    state.queries._results.clear()
    selection.select(state, None)
    state.tab = tab
    assert np.abs(draw(ui, state)[60:, 700:].astype(int) - first[60:, 700:]).max() > 60


def test_help_and_palette_lie_over_the_picture(ui, state):
    plain = draw(ui, state)
    state.is_help_open = True
    assert np.abs(draw(ui, state).astype(int) - plain)[100:600, 250:650].max() > 100
    state.is_help_open = False
    state.command_palette.is_open, state.command_palette.query = True, "undo"
    assert np.abs(draw(ui, state).astype(int) - plain)[50:120, 250:650].max() > 100
    for query in ("x:zz", '"root', "0x1000", "pid:1", "\0\n", "yaw=1"):
        state.command_palette.query = query
        draw(ui, state)


def test_rows_become_targets():
    assert target_of("slabs", {"name": "a'b\n"}) == "slab:'a\\'b\\U0000000a'"
    assert target_of("processes", {"pid": 2, "page_table": None}) == "pid:2/kernelstack"
    assert target_of("open-files", {"pid": 2, "path": "/x"}) == "file:'/x'"
    assert target_of("areas", {"pid": 2, "start": 16, "end": 48}) == "va:0x10+0x20@pid:2"
    assert target_of("dmesg", {"text": "x"}) == ""


def test_cells_are_written_as_the_overlay_asks_or_plainly():
    assert format_cell(255, "#x") == "0xff" and format_cell("a", "#x") == "a"
    assert format_cell(None, "") == "" and format_cell([1, 2], "") == "1 2"


def test_a_struct_can_be_shown(ui, state):
    layout = TypeLayout("struct x", 8, (TypeField("a", "int", 0, 4, kind="int"),))
    selection.select(state, 0x45010)
    state.type_name = "x"
    state.queries._results["type"] = QueryResult((("x",), 0), layout, "", time.monotonic())
    draw(ui, state)
    assert decode_struct(layout, b"\1\0\0\0")[0].text == "1"
