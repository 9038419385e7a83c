"""A window on a canvas that is no window of the desktop: as in a notebook's cell."""

from __future__ import annotations

import importlib.util
import time

import numpy as np
import pytest

from qemu_bridge.errors import UsageError
from viewer.app.notebook import show, show_on, window_of, with_characters
from viewer.picture.offscreen import load_scene, render_scene


@pytest.mark.window
def test_any_canvas_shows_the_picture_and_takes_events(device, source, pictures, tmp_path, monkeypatch):
    from rendercanvas.offscreen import RenderCanvas, loop

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "glassbox").mkdir()
    (tmp_path / "glassbox" / "viewer.toml").write_text("panels = []\n")
    expected = render_scene(load_scene(source, device), (640, 360), with_words=False)
    canvas = show_on(RenderCanvas(size=(640, 360)), loop, source, (640, 360))
    try:
        deadline, difference = time.monotonic() + 20, 1.0
        while difference > 0.03 and time.monotonic() < deadline:
            shown = np.asarray(canvas.draw())
            difference = pictures.rmse(shown[40:320, :, :3], expected[40:320])
        assert difference <= 0.03
        before = window_of(canvas).state.controller.goal
        canvas.submit_event(
            {"event_type": "wheel", "dx": 0, "dy": -500, "x": 300, "y": 200, "buttons": (), "modifiers": ()}
        )
        canvas._process_events()  # what a running loop does; this canvas has none
        assert window_of(canvas).state.controller.goal.distance < before.distance
    finally:
        window_of(canvas).stop()


def key(name, *modifiers, kind="key_down"):
    return {"event_type": kind, "key": name, "modifiers": modifiers}


@pytest.mark.window
def test_what_is_typed_in_a_cell_reaches_fields(screen, no_errors):
    # As jupyter_rfb tells it: a browser's names of keys, and no characters.
    box = screen.state.command_palette
    for typed in ("/", "Shift", "P", "ü", ":", " ", "@", "a", "v"):
        held = {"P": ("Shift",), "@": ("Alt", "Control"), "v": ("Control",)}.get(typed, ())
        for kind in ("key_down", "key_up"):
            for event in with_characters(key(typed, *held, kind=kind)):
                screen.send(event.pop("event_type"), **event)
    screen.draw_until(lambda: box.query == "Pü: @a")


def test_a_character_comes_once_whoever_tells_it():
    assert with_characters({"event_type": "char", "data": "a", "is_composing": False}) == []
    composed = {"event_type": "char", "data": "é", "is_composing": True}
    assert with_characters(composed) == [composed]
    for silent in (key("Enter"), key("a", "Control"), key("a", "Meta"), key("a", kind="key_up")):
        assert with_characters(silent) == [silent]
    assert [each["event_type"] for each in with_characters(key("A", "Shift"))] == ["key_down", "char"]


@pytest.mark.window
def test_a_canvas_resized_to_nothing_and_back_goes_on(device, source, tmp_path, monkeypatch):
    from rendercanvas.offscreen import RenderCanvas, loop

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    canvas = show_on(RenderCanvas(size=(320, 200)), loop, source, (320, 200))
    try:
        for size in ((320, 200), (1, 1), (320, 1), (320, 200)):
            canvas.set_physical_size(*size)
            shown = np.asarray(canvas.draw())
        assert shown.shape[:2] == (200, 320)
        assert shown.max() > 100
        assert not any(message.is_problem for message in window_of(canvas).state.messages)
    finally:
        window_of(canvas).stop()


@pytest.mark.skipif(importlib.util.find_spec("jupyter_rfb") is not None, reason="jupyter_rfb is installed")
def test_without_jupyter_the_error_says_what_to_install():
    with pytest.raises(UsageError, match="pip install"):
        show("demo")
