"""A display of 192 dots an inch, where a logical pixel is two by two: a real window, driven like a user would."""

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
from support import OUT, wait_until

from viewer.app.panels.layout import BAR_HEIGHT
from viewer.picture.offscreen import choose_camera, load_scene, render_scene
from viewer.render.raymarch import Renderer

ROOT = Path(__file__).resolve().parents[3]
SIZE = (960, 540)
BAR = round(2 * BAR_HEIGHT)

pytestmark = [
    pytest.mark.window,
    pytest.mark.skipif(
        not all(map(shutil.which, ("Xvfb", "xdotool", "xprop", "import"))),
        reason="Xvfb, xdotool, xprop or ImageMagick is not installed",
    ),
]

PROGRAM = """
import logging, sys
sys.path.insert(0, sys.argv[1])
from synthetic import SyntheticSource
from viewer.app.window import open_window
logging.basicConfig(level=logging.INFO)
open_window(SyntheticSource(), after_s=90, size=(480, 270))
"""

READ_CLIPBOARD = """
import glfw
glfw.init()
glfw.window_hint(glfw.VISIBLE, False)
print(glfw.get_clipboard_string(glfw.create_window(10, 10, "reader", None, None)).decode())
"""


class Driven:
    """A window of 480x270 logical pixels and the hands on it."""

    def __init__(self, display, folder, settings, command):
        self.folder = folder
        self.environment = {**os.environ, "DISPLAY": display, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(folder)}
        self.environment.pop("WAYLAND_DISPLAY", None)
        (folder / "glassbox").mkdir()
        (folder / "glassbox" / "viewer.toml").write_text(settings)
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command], cwd=folder, env=self.environment, stdout=log, stderr=subprocess.STDOUT
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def do(self, *words):
        subprocess.run(["xdotool", *words], env=self.environment, check=True, timeout=60, stdout=subprocess.DEVNULL)

    def see(self):
        """What the display shows of the window, as soon as it stands still."""
        path, before = self.folder / "root.png", None
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            time.sleep(0.7)
            subprocess.run(["import", "-window", "root", str(path)], env=self.environment, check=True, timeout=30)
            seen = np.asarray(Image.open(path).convert("RGB"))[: SIZE[1], : SIZE[0]].astype(np.int16)
            if before is not None and difference(seen, before).mean() < 0.001 and seen.max() > 100:
                break
            before = seen
        return seen


def difference(one, other):
    """Which pixels differ by more than what a pass of the picture moves."""
    return np.abs(one - other).max(axis=2) > 30


@pytest.mark.long
def test_everything_is_twice_as_large_and_a_click_hits_the_very_pixel(
    dense_display, device, source, pictures, tmp_path
):
    scene = load_scene(source, device)
    expected = render_scene(scene, SIZE, with_words=False)
    renderer = Renderer(scene)
    picks = renderer.pick(choose_camera(renderer), SIZE)
    command = ["-c", PROGRAM, str(ROOT / "tests")]
    with Driven(dense_display, tmp_path, "panels = []\n", command) as window:
        window.do("search", "--sync", "--name", "Glass Box - synthetic - idle")
        window.do("mousemove", "1350", "850")
        plain = window.see()
        assert pictures.rmse(plain[BAR:-BAR], expected[BAR:-BAR]) <= 0.03
        # The bars are twice their logical height, and end there.
        assert (plain[BAR + 1, 4:900:50] != plain[BAR // 2, 4:900:50]).any(axis=1).all()

        # Odd pixels too: a logical pixel is not enough to say which.
        for x, y in ((601, 271), (491, 225)):
            assert picks.pages[y, x] >= 0
            window.do("mousemove", str(x), str(y), "click", "1")
            told = f"page {picks.pages[y, x]:#x} + {picks.offsets[y, x]:#05x}"
            wait_until(lambda: told in window.log.read_text())  # noqa: B023  # asked before the next round
            # The details that opened moved the picture aside.
            window.do("key", "Escape", "key", "F3", "mousemove", "1350", "850")
            window.see()

        window.do("key", "s")
        wait_until(lambda: list(tmp_path.glob("glassbox-synthetic-*.png")))
        wait_until(lambda: "wrote glassbox-synthetic" in window.log.read_text())
        [path] = tmp_path.glob("glassbox-synthetic-*.png")
        with Image.open(path) as shot:
            assert shot.size == SIZE

        window.do("key", "y")
        wait_until(lambda: "copied this view" in window.log.read_text())
        words = [sys.executable, "-c", READ_CLIPBOARD]
        read = subprocess.run(words, env=window.environment, capture_output=True, text=True, timeout=30, check=True)
        assert read.stdout.startswith("yaw="), read.stdout

        before = window.see()
        window.do("key", "question")
        keys = window.see()
        assert difference(keys, before)[BAR:-BAR].mean() > 0.1  # the list lies over the picture
        Image.fromarray(keys.astype(np.uint8)).save(OUT / "hidpi-keys.png")
        window.do("key", "Escape")
        assert difference(window.see(), keys)[BAR:-BAR].mean() > 0.1


@pytest.mark.guest
@pytest.mark.long
def test_the_wheel_over_the_process_table_scrolls_rows_and_moves_no_eye(machine, dense_display, tmp_path):
    machine.client.pause()
    command = ["-m", "viewer", "view", machine.name, "--size", "480x270"]
    try:
        with Driven(dense_display, tmp_path, 'panels = ["details"]\n', command) as window:
            window.do("search", "--sync", "--name", f"Glass Box - {machine.name} - idle")
            window.do("key", "F4", "mousemove", "800", "300")
            top = window.see()
            Image.fromarray(top.astype(np.uint8)).save(OUT / "hidpi-processes.png")
            window.do("click", "--repeat", "6", "5")
            lower = window.see()
            changed = difference(lower, top)
            rows, columns = np.nonzero(changed)
            assert len(rows) > 1000 and columns.min() > 0.5 * SIZE[0]  # the rows, and nothing of the picture
            window.do("click", "--repeat", "6", "4")
            # Back at the top; a wide row that was seen meanwhile may have brought a scroll bar along the bottom.
            assert not difference(window.see(), top)[120:440, SIZE[0] // 2 : -60].any()
            # A row is hit where it shows: the pages of its process glow.
            window.do("mousemove", "700", "226", "click", "1")
            wait_until(lambda: difference(window.see(), top)[:, : SIZE[0] // 2].any())
            Image.fromarray(window.see().astype(np.uint8)).save(OUT / "hidpi-row.png")
    finally:
        machine.client.resume()
