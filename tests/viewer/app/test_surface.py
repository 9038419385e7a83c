"""What is drawn on."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from qemu_bridge.errors import GraphicsError
from viewer.app.surface import Surface, open_canvas


def test_without_a_display_one_sentence_names_snap(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(GraphicsError, match="glassbox snap"):
        open_canvas("Glass Box", (640, 360))


@pytest.mark.parametrize(
    ("display", "told"),
    [
        ({"WAYLAND_DISPLAY": "none-0"}, ("(Wayland: ", "set DISPLAY")),
        ({"DISPLAY": ":4999"}, ("(X11: ", "check DISPLAY")),
    ],
)
def test_a_display_that_does_not_answer_is_one_sentence_with_the_way_out(display, told):
    # As the program imports it: the window first, which loads glfw.
    code = "import viewer.app.window; from viewer.app.surface import open_canvas; from qemu_bridge.errors import GraphicsError\ntry: open_canvas('', (9, 9))\nexcept GraphicsError as error: print(error)"
    # Without what imgui_bundle says in the process of the tests about glfw's library.
    own = ("DISPLAY", "WAYLAND_DISPLAY", "PYGLFW_LIBRARY")
    bare = {name: value for name, value in os.environ.items() if name not in own}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=bare | display, capture_output=True, text=True, timeout=60, check=True
    )
    assert all(word in ended.stdout for word in told) and "glassbox snap" in ended.stdout and not ended.stderr


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
