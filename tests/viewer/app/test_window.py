"""The window, under Xvfb: what it shows is what the offscreen picture shows."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from desktop import environment
from PIL import Image
from support import needs_display

from qemu_bridge.errors import GraphicsError
from viewer.app.window import open_window
from viewer.picture.offscreen import choose_camera, load_scene, render_scene
from viewer.render.raymarch import Renderer

pytestmark = pytest.mark.usefixtures("no_errors")
BAR = 28
"""Pixels of the menu and of the status bar."""
ROOT = Path(__file__).resolve().parents[3]


class Shown:
    """A window of 640x360 in a process of its own, its display, and who uses it."""

    def __init__(self, display, folder):
        self._folder, self._environment = folder, environment(display, folder)
        self.log = folder / "window.log"
        command = [sys.executable, str(ROOT / "tests/synthetic.py"), "300", str(folder / "unused.png")]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=subprocess.STDOUT)
        self.act("search", "--sync", "--name", "Glass Box - synthetic")

    def act(self, *words):
        """What a user does, in xdotool's words."""
        subprocess.run(["xdotool", *words], env=self._environment, check=True, timeout=30, capture_output=True)

    def grab(self):
        """What the display shows of the window, without its bars."""
        path = self._folder / "root.png"
        words = ["import", "-display", self._environment["DISPLAY"], "-window", "root", str(path)]
        subprocess.run(words, check=True, timeout=30)
        return np.asarray(Image.open(path).convert("RGB"))[BAR : 360 - BAR, :640]

    def wait_for(self, condition, limit_s=120):
        """The first picture of which `condition` holds."""
        deadline = time.monotonic() + limit_s
        while not condition(shown := self.grab()):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, "the window never came to show that"
            time.sleep(0.1)
        return shown

    def close(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def window(display, tmp_path_factory):
    """One window for the tests of this file; each leaves it as it was, and the last closes it."""
    shown = Shown(display, tmp_path_factory.mktemp("window"))
    yield shown
    shown.close()


@pytest.fixture
def expected(device, source):
    """The offscreen picture of the same memory."""
    return render_scene(load_scene(source, device), (640, 360), with_words=False)[BAR : 360 - BAR]


def pixels_that_differ(one, other):
    return np.count_nonzero(np.abs(one.astype(int) - other).max(axis=2) > 30)


@pytest.mark.window
@needs_display
def test_the_window_shows_the_offscreen_picture(window, expected, pictures):
    shown = window.wait_for(lambda shown: pictures.rmse(shown, expected) <= 0.03)
    assert shown.max() > 150


@pytest.mark.window
@needs_display
def test_the_cursor_and_a_click_tell_what_is_there(window, expected, pictures, device, source):
    renderer = Renderer(load_scene(source, device))
    picks = renderer.pick(choose_camera(renderer), (640, 360))
    told = f"page {picks.pages[180, 400]:#x} + {picks.offsets[180, 400]:#05x}"
    window.act("mousemove", "700", "500")
    away = window.wait_for(lambda shown: pictures.rmse(shown, expected) <= 0.03)
    window.act("mousemove", "400", "180")
    window.wait_for(lambda shown: pixels_that_differ(shown, away) > 3000)
    window.act("click", "1")
    window.act("mousemove", "700", "520")
    window.wait_for(
        lambda shown: shown[60:, 260:].max() > 180 and pixels_that_differ(shown[:, 300:], away[:, 300:]) > 5000
    )
    assert told in window.log.read_text()
    window.act("key", "Escape", "key", "F3")
    window.wait_for(lambda shown: pixels_that_differ(shown, away) < 400)


@pytest.mark.window
@needs_display
def test_keys_and_mouse_change_the_view_and_q_closes(window, expected, pictures):
    def differs(other, least):
        return lambda shown: pictures.rmse(shown, other) > least

    start = window.wait_for(lambda shown: pictures.rmse(shown, expected) <= 0.03)
    window.act("mousemove", "400", "180", "mousedown", "1", "mousemove", "520", "180", "sleep", "0.1")
    window.act("mousemove", "560", "180", "mouseup", "1")
    turned = window.wait_for(differs(start, 0.03))
    window.act("click", "--repeat", "5", "4")
    nearer = window.wait_for(differs(turned, 0.03))
    window.act("key", "1")
    window.wait_for(differs(nearer, 0.02))
    window.act("key", "1", "key", "r", "mousemove", "700", "520")
    window.wait_for(lambda shown: pictures.rmse(shown, expected) <= 0.03)
    window.act("key", "q")
    assert window.process.wait(timeout=120) == 0
    output = window.log.read_text()
    assert "Traceback" not in output and "ERROR" not in output
    assert not list(window.log.parent.glob("*unused*"))


LOSE_THE_DEVICE = """
import logging, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from synthetic import SyntheticSource
from viewer.render.raymarch import PASSES
from viewer.app.window import Window, leave
logging.basicConfig(level=logging.INFO)
window = Window(SyntheticSource(), (640, 360), None, None)
def is_refined():
    return window.surface.renderer.passes >= PASSES
def look():
    if not is_refined():
        pass
    elif not window.has_lost_device:
        window.state.scene.device.destroy()
        window.schedule.request()
    else:
        window._finish()
    if not window.canvas.get_closed():
        window.loop.call_later(0.1, look)
look()
window.run(None, 50, Path(sys.argv[2]))
print(*(message.text for message in window.state.messages))
assert window.has_lost_device
leave()
"""


@pytest.mark.window
@needs_display
def test_a_lost_graphics_device_is_a_message_and_is_recreated(display, expected, pictures, tmp_path):
    words = [sys.executable, "-c", LOSE_THE_DEVICE, str(ROOT / "tests"), str(tmp_path / "after.png")]
    own = environment(display, tmp_path)
    ended = subprocess.run(words, env=own, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "lost and re-created" in ended.stdout
    # The loss itself is one of the library's; nothing else is.
    errors = [line for line in ended.stderr.splitlines() if line.startswith("ERROR:")]
    assert all(line.startswith("ERROR:wgpu:") for line in errors), ended.stderr
    shown = np.asarray(Image.open(tmp_path / "after.png"))
    # Messages stand at the bottom.
    assert pictures.rmse(shown[BAR:240], expected[: 240 - BAR]) <= 0.03


def test_without_a_display_one_sentence_names_snap(source, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(GraphicsError, match="glassbox snap"):
        open_window(source)
