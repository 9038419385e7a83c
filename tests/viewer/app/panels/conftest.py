"""One ImGui on an offscreen canvas for all tests of the panels, and results as a daemon would give them."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from qemu_bridge.wire.records import MemoryMapping, OverlayInfo, OverlayTable, Process
from viewer.app.panels.layout import lay_out
from viewer.sources.queries import QueryResult

SIZE = (1100, 700)


@pytest.fixture(scope="session")
def ui(device):
    from rendercanvas.offscreen import RenderCanvas
    from wgpu.utils.imgui import ImguiRenderer

    from viewer.app.panels import theme

    canvas = RenderCanvas(size=SIZE)
    renderer = ImguiRenderer(device, canvas, "rgba8unorm")
    look = theme.Theme()
    look.apply(1.0)
    yield canvas, renderer, look
    theme.MONO.clear()
    canvas.close()


@pytest.fixture
def layout():
    """With both side panels open."""
    return lay_out(SIZE, 1.0, True, 430)


@pytest.fixture
def paint(ui) -> Callable[[Callable[[], object]], np.ndarray]:
    """Draws a function's panels, and gives what the canvas shows then, without alpha."""
    from imgui_bundle import imgui

    from viewer.app.panels import theme

    canvas, renderer, look = ui

    def draw(body: Callable[[], object], frames: int = 3) -> np.ndarray:
        imgui.set_current_context(renderer.imgui_context)
        theme.MONO[:] = [look.mono]

        def on_black() -> None:
            pen = imgui.get_background_draw_list()
            pen.add_rect_filled(
                imgui.ImVec2(0, 0), imgui.ImVec2(*SIZE), imgui.color_convert_float4_to_u32((0, 0, 0, 1))
            )
            body()

        renderer.set_gui(on_black)
        canvas.request_draw(renderer.render)
        for _ in range(frames):
            picture = np.asarray(canvas.draw())
        return picture[..., :3].astype(int)

    return draw


@pytest.fixture
def put(state) -> Callable[..., None]:
    """Makes a result of a query, as if the daemon had answered."""

    def one(topic: str, value: object, key: object = None, error: str = "") -> None:
        state.queries._results[topic] = QueryResult(key, value, error, time.monotonic() + 60)

    return one


@pytest.fixture
def results(state, put) -> None:
    """Results for every tab."""
    process = Process(1, 0, 0, "S", "in##it", "/sbin/init %s", 4096, 1, 200)
    put("ps", (process, Process(2, 0, 0, "S", "kthreadd", "", None, 1, 0)))
    put("maps", (MemoryMapping(0x1000, 0x2000, "r-xp", 0, "0:1", 5, "/bin/x"),), 1)
    put("overlays", (OverlayInfo("slabs", "s", ("name",), "built in"),))
    put("overlay", OverlayTable("slabs", ("name", "cache:#x"), ({"name": "dentry", "cache": 5},), True, ()), "slabs")
    state.mapping_pid = 1
