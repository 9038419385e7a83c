"""The flat map as a panel: filled when colours change and not else, and a click goes to the page under it."""

from __future__ import annotations

import numpy as np
import pytest

from viewer.app.panels.layout import lay_out
from viewer.app.panels.minimap import MARGIN, SIDE, MapTexture, draw
from viewer.picture.minimap import page_to_xy
from viewer.render.page_colours import page_colours

SIZE = (700, 500)


@pytest.fixture
def panel(device, state):
    from rendercanvas.offscreen import RenderCanvas
    from wgpu.utils.imgui import ImguiRenderer

    from viewer.app.panels import theme

    canvas = RenderCanvas(size=SIZE)
    renderer = ImguiRenderer(device, canvas, "rgba8unorm")
    look = theme.Theme()
    look.apply(1.0)
    theme.MONO[:] = [look.mono]
    texture, layout = MapTexture(renderer.backend), lay_out(SIZE, 1.0, False, None)
    renderer.set_gui(lambda: draw(state, layout, texture))
    canvas.request_draw(renderer.render)

    def picture(frames=2):
        for _ in range(frames):
            shown = np.asarray(canvas.draw())
        return shown

    yield renderer, texture, picture
    theme.MONO.clear()
    canvas.close()


def middle_of(page, state, texture):
    width, height = texture.map.size
    zoom = min(SIDE, 0.4 * SIZE[0], 0.45 * (SIZE[1] - 52)) / max(width, height)
    left, top = SIZE[0] - width * zoom - MARGIN, SIZE[1] - 26 - height * zoom - MARGIN
    x, y = page_to_xy(page, state.scene.page_count)
    return left + (x + 0.5) * zoom, top + (y + 0.5) * zoom


def test_the_map_shows_the_colours_of_pages_and_is_filled_only_when_they_change(panel, state):
    _, texture, picture = panel
    shown, colours = picture(), page_colours(state.scene)
    solid = np.flatnonzero(colours[:, 3])
    for page in solid[:: max(len(solid) // 20, 1)].tolist():
        x, y = middle_of(page, state, texture)
        assert np.abs(shown[int(y), int(x), :3].astype(int) - colours[page, :3]).max() <= 40
    picture(5)
    assert texture.uploads == 1
    state.scene.select(np.arange(70, 90))
    picture()
    assert texture.uploads == 2


def test_pages_out_of_view_are_darker(panel, state):
    _, _, picture = panel
    plain = picture().astype(int)
    state.in_view = np.array([0])
    assert picture()[..., :3].astype(int).sum() < 0.8 * plain[..., :3].sum()


def test_a_click_pins_the_page_under_it_and_flies_there(panel, state, caplog):
    renderer, texture, picture = panel
    picture()
    before, page = state.controller.goal, 300
    io = renderer.backend.io
    io.add_mouse_pos_event(*middle_of(page, state, texture))
    picture()
    io.add_mouse_button_event(0, True)
    picture()
    assert state.pin == page << 12
    assert state.controller.goal != before
    # What fails while drawing is only logged by the canvas.
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    x, y = middle_of(page, state, texture)
    assert picture()[int(y) - 8 : int(y) + 9, int(x) - 8 : int(x) + 9].min(axis=2).max() > 180
