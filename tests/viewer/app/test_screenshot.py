"""Pictures that a window writes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from viewer.picture.offscreen import load_scene, render_scene
from viewer.render.raymarch import PASSES

pytestmark = pytest.mark.usefixtures("no_errors")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_screenshot_is_drawn_while_the_window_goes_on(screen, device, source, pictures, folder):
    screen.draw_until(lambda: screen.state.is_idle)
    screen.window.surface.renderer.restart()  # the window's own picture has to be refined, too
    screen.window.screenshots.take("640x360")
    frames, told = screen.window.frames.count, []
    screen.draw_until(lambda: told.append(screen.state.progress) or list(folder.glob("glassbox-synthetic-*.png")))
    # A pass a frame, whatever else there was to draw, and each is told.
    assert frames + PASSES <= screen.window.frames.count <= frames + PASSES + 5
    assert len(set(told)) >= PASSES and f"pass 9 of {PASSES}" in " ".join(told) and not screen.state.progress
    written = np.asarray(Image.open(next(folder.iterdir())))
    assert written.shape == (360, 640, 3)
    expected = render_scene(
        load_scene(source, device), (640, 360), camera=screen.state.controller.camera, title=source.title
    )
    assert pictures.rmse(written, expected) < 0.03


def test_a_picture_of_the_window_is_what_it_shows(screen, pictures, folder):
    shown = screen.draw_until(lambda: screen.state.is_idle and not screen.state.recent_messages(1e9))
    path = folder / "window.png"
    screen.window.screenshots.save_window(path)
    assert pictures.rmse(np.asarray(Image.open(path)), shown) < 0.01


def test_a_wrong_size_is_a_message(screen):
    screen.window.screenshots.take("3x")
    assert screen.state.messages[-1].is_problem
    assert not screen.window.screenshots.step()


def test_a_folder_that_takes_no_file_is_a_message(screen, folder):
    screen.window.screenshots.take("64x64")
    screen.window.screenshots._shot.path = folder / "nowhere" / "x.png"
    screen.draw_until(lambda: screen.window.screenshots._shot is None)
    assert screen.state.messages[-1].is_problem
