"""What is drawn on."""

from __future__ import annotations

import pytest

from qemu_bridge.errors import GraphicsError
from viewer.app.surface import Surface, open_canvas


def test_without_a_display_one_sentence_names_snap(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(GraphicsError, match="glassbox snap"):
        open_canvas("Glass Box", (640, 360))


def test_a_surface_shows_the_scene_that_it_was_given_last(state, device, source):
    from rendercanvas.offscreen import RenderCanvas

    from viewer.render.scene import Scene

    canvas = RenderCanvas(size=(320, 200))
    surface = Surface(canvas, Scene(device, 1 << 21))
    first = surface.renderer
    surface.attach(state.scene)
    assert surface.renderer is not first
    assert surface.size == (320, 200) and surface.pixel_ratio == 1
    surface.renderer.draw_pass(state.controller.camera, surface.size)
    canvas.request_draw(lambda: surface.present(surface.size))
    assert canvas.draw().max() > 100
    canvas.close()
