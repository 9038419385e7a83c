"""The window, under Xvfb: what it shows is what the offscreen picture shows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qemu_bridge.errors import GraphicsError
from viewer.offscreen import choose_camera, load_scene, render_scene
from viewer.raymarch import Renderer
from viewer.window import open_window

BAR = 28
"""Pixels of the menu and of the status bar."""
ROOT = Path(__file__).resolve().parents[2]
needs_display = pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb is not installed")


@pytest.fixture(scope="module")
def display():
    """A virtual display of 800x600, by name."""
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "800x600x24", "-nolisten", "tcp", "-noreset"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    # -noreset: else the server starts over whenever its last client leaves, and turns away who comes meanwhile.
    with os.fdopen(read) as number:
        yield f":{number.readline().strip()}"
    server.terminate()
    server.wait(timeout=10)


def start_window(display, seconds, screenshot):
    environment = {**os.environ, "DISPLAY": display, "PYTHONPATH": str(ROOT)}
    environment.pop("WAYLAND_DISPLAY", None)
    # Settings of its own: nothing beside the picture, no words in it.
    environment["XDG_CONFIG_HOME"] = str(Path(screenshot).parent)
    settings = Path(screenshot).parent / "glassbox" / "viewer.toml"
    if not settings.exists():
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text("panels = []\n")
    command = [sys.executable, str(ROOT / "tests/viewer/synthetic.py"), str(seconds), str(screenshot)]
    with Path(f"{screenshot}.log").open("w") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)


def grab(display, path):
    """What the display shows of a window of 640x360, without its bars."""
    subprocess.run(["import", "-display", display, "-window", "root", str(path)], check=True, timeout=30)
    return np.asarray(Image.open(path).convert("RGB"))[BAR : 360 - BAR, :640]


@pytest.mark.window
@needs_display
def test_the_window_shows_the_offscreen_picture_and_closes(display, device, source, pictures, tmp_path):
    whole = render_scene(load_scene(source, device), (640, 360), with_words=False)
    expected = whole[BAR : 360 - BAR]
    screenshot = tmp_path / "window.png"
    window = start_window(display, 12, screenshot)
    try:
        difference, deadline = 1.0, time.monotonic() + 30
        while difference > 0.03 and time.monotonic() < deadline and window.poll() is None:
            time.sleep(0.5)
            shown = grab(display, tmp_path / "root.png")
            difference = pictures.rmse(shown, expected)
        assert shown.max() > 150
        assert difference <= 0.03
        window.wait(timeout=60)
    finally:
        window.kill()
        window.wait()
    output = Path(f"{screenshot}.log").read_text()
    assert window.returncode == 0, output
    assert "Traceback" not in output
    assert pictures.rmse(np.asarray(Image.open(screenshot))[BAR : 360 - BAR], expected) <= 0.03


@pytest.mark.window
@needs_display
@pytest.mark.skipif(shutil.which("xdotool") is None, reason="xdotool is not installed")
def test_keys_and_mouse_change_the_view_and_q_closes(display, pictures, tmp_path):
    window = start_window(display, 60, tmp_path / "unused.png")

    def act(*words):
        subprocess.run(
            ["xdotool", *words], env={**os.environ, "DISPLAY": display}, check=True, timeout=30, capture_output=True
        )
        time.sleep(1.5)
        return grab(display, tmp_path / "root.png")

    try:
        act("search", "--sync", "--name", "Glass Box - synthetic")
        start = act("mousemove", "400", "180")
        turned = act(
            "mousemove",
            "400",
            "180",
            "mousedown",
            "1",
            "mousemove",
            "520",
            "180",
            "sleep",
            "0.1",
            "mousemove",
            "560",
            "180",
            "mouseup",
            "1",
        )
        assert pictures.rmse(start, turned) > 0.03
        nearer = act("click", "--repeat", "5", "4")
        assert pictures.rmse(turned, nearer) > 0.03
        fewer = act("key", "1")
        assert pictures.rmse(nearer, fewer) > 0.02
        back = act("key", "1", "key", "r")
        assert pictures.rmse(start, back) < 0.03
        subprocess.run(["xdotool", "key", "q"], env={**os.environ, "DISPLAY": display}, check=True, timeout=30)
        assert window.wait(timeout=30) == 0
    finally:
        window.kill()
        window.wait()
    assert not (tmp_path / "unused.png").exists()


@pytest.mark.window
@needs_display
@pytest.mark.skipif(shutil.which("xdotool") is None, reason="xdotool is not installed")
def test_the_cursor_and_a_click_tell_what_is_there(display, device, source, tmp_path):
    renderer = Renderer(load_scene(source, device))
    picks = renderer.pick(choose_camera(renderer), (640, 360))
    window = start_window(display, 60, tmp_path / "unused.png")
    log = tmp_path / "unused.png.log"

    def act(*words):
        subprocess.run(["xdotool", *words], env={**os.environ, "DISPLAY": display}, check=True, timeout=30)
        time.sleep(2)
        return grab(display, tmp_path / "root.png")

    try:
        act("search", "--sync", "--name", "Glass Box - synthetic")
        away = act("mousemove", "700", "500")
        hovered = act("mousemove", "400", "180")
        assert np.count_nonzero(np.abs(hovered.astype(int) - away).max(axis=2) > 30) > 3000
        pinned = act("click", "1")
        left = act("mousemove", "700", "520")
        assert left[60:, 260:].max() > 180
        assert np.count_nonzero(np.abs(left.astype(int) - away)[:, 300:].max(axis=2) > 30) > 5000
        act("key", "Escape")
        back = act("key", "F3")
        assert np.count_nonzero(np.abs(back.astype(int) - away).max(axis=2) > 30) < 400
        assert pinned.shape == left.shape
    finally:
        window.kill()
        window.wait()
    told = f"page {picks.pages[180, 400]:#x} + {picks.offsets[180, 400]:#05x}"
    assert told in log.read_text()


LOSE_THE_DEVICE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from synthetic import SyntheticSource
from viewer.window import Window, leave
window = Window(SyntheticSource(), (640, 360), None, None)
window.loop.call_later(2, lambda: (window.desk.scene.device.destroy(), window.schedule.request()))
window.run(None, 8, Path(sys.argv[2]))
print(*(message.text for message in window.desk.messages))
assert window.has_lost_device
leave()
"""


@pytest.mark.window
@needs_display
def test_a_lost_graphics_device_is_a_message_and_taken_anew(display, device, source, pictures, tmp_path):
    expected = render_scene(load_scene(source, device), (640, 360), with_words=False)
    (tmp_path / "glassbox").mkdir()
    (tmp_path / "glassbox" / "viewer.toml").write_text("panels = []\n")
    environment = {**os.environ, "DISPLAY": display, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(tmp_path)}
    environment.pop("WAYLAND_DISPLAY", None)
    words = [sys.executable, "-c", LOSE_THE_DEVICE, str(ROOT / "tests/viewer"), str(tmp_path / "after.png")]
    ended = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "lost and taken anew" in ended.stdout
    shown = np.asarray(Image.open(tmp_path / "after.png"))
    # Messages stand at the bottom.
    assert pictures.rmse(shown[BAR:240], expected[BAR:240]) <= 0.03


def test_without_a_display_one_sentence_names_snap(source, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(GraphicsError, match="glassbox snap"):
        open_window(source)
