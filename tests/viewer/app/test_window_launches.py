"""Launches of another program in a real window, on displays of two densities."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from desktop import TESTS, environment
from PIL import Image
from support import OUT

from pixel_cpu.kernels import source
from viewer.app.panels.theme import ACCENT, WARN

pytestmark = [
    pytest.mark.window,
    pytest.mark.skipif(
        not all(map(shutil.which, ("Xvfb", "xdotool", "xprop", "import"))),
        reason="Xvfb, xdotool, xprop or ImageMagick is not installed",
    ),
]

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from synthetic import SyntheticSource
from viewer.app.window import open_window
open_window(SyntheticSource(), after_s=900, size=tuple(map(int, sys.argv[2:])))
"""
COPY = """
GPU_KERNEL copy
    GPU_PARAM x float[]
    GPU_PARAM y float[]
    GPU_THREAD_CODE:
        THREAD_ID -> i
        STORE x[i] -> y[i]
GPU_END
"""


class Shown:
    """A window in a process of its own, and what its display shows."""

    def __init__(self, display, folder, size):
        self.folder = folder
        self.environment = environment(display, folder) | {"XDG_RUNTIME_DIR": str(folder)}
        words = [sys.executable, "-c", PROGRAM, str(TESTS), *map(str, size)]
        self.process = subprocess.Popen(words, env=self.environment, stderr=subprocess.DEVNULL)

    def do(self, *words):
        subprocess.run(["xdotool", *words], env=self.environment, check=True, timeout=180, stdout=subprocess.DEVNULL)

    def launch(self, text, *words):
        """Run a kernel with the command line, as a user would in a terminal."""
        (self.folder / "kernel.gpk").write_text(text)
        command = [sys.executable, "-m", "qemu_bridge.cli", "gpu", "run", str(self.folder / "kernel.gpk"), *words]
        return subprocess.run(command, env=self.environment, timeout=120, capture_output=True).returncode

    def grab(self):
        path = self.folder / "root.png"
        subprocess.run(["import", "-window", "root", str(path)], env=self.environment, check=True, timeout=30)
        return np.asarray(Image.open(path).convert("RGB")).astype(np.int16)

    def wait_for(self, condition):
        """The first picture of which `condition` holds, as soon as it stands still."""
        deadline, before = time.monotonic() + 180, None
        while True:
            shown = self.grab()
            if condition(shown) and before is not None and (np.abs(shown - before) > 30).mean() < 0.0005:
                return shown
            assert self.process.poll() is None and time.monotonic() < deadline, "the window never came to show that"
            before = shown
            time.sleep(0.2)


def count(picture, tint, tolerance=40):
    """Pixels of a colour."""
    return int((np.abs(picture - np.array(tint)).max(axis=2) < tolerance).sum())


@pytest.mark.parametrize(
    ("name", "size", "scale"),
    [("display", (800, 600), 1), pytest.param("dense_display", (700, 450), 2, marks=pytest.mark.long)],
)
def test_a_launch_of_another_program_shows_with_its_counters_and_its_trap(request, name, size, scale):
    display = request.getfixturevalue(name)
    with tempfile.TemporaryDirectory(prefix="gb-") as folder:
        window = Shown(display, Path(folder), size)
        try:
            window.do("search", "--sync", "--name", "Glass Box - synthetic - idle")
            # Where the pointer is over nothing, so that no hint covers the panel.
            window.do("mousemove", "10", str(size[1] * scale - 8), "key", "L")
            half = round(size[0] * scale * 0.6)
            empty = window.wait_for(lambda shown: shown[60 * scale : 200 * scale, half:].max() > 150)
            Image.fromarray(empty.astype(np.uint8)).save(OUT / f"window-launches-none-{scale}x.png")
            words = ["--set", "a=2", "--new", "x=100000", "--new", "y=100000", "--counts"]
            assert window.launch(source("saxpy"), *words) == 0
            bar = np.array(ACCENT) * 0.55 + np.array((30, 37, 49)) * 0.45
            counted = window.wait_for(lambda shown: count(shown[:, half:], bar, 12) > 1000 * scale * scale)
            Image.fromarray(counted.astype(np.uint8)).save(OUT / f"window-launches-{scale}x.png")
            warned = count(counted[:, half:], WARN)
            assert window.launch(COPY, "--new", "x=1000", "--new", "y=900") == 1
            trapped = window.wait_for(lambda shown: count(shown[:, half:], WARN) > warned + 50 * scale * scale)
            Image.fromarray(trapped.astype(np.uint8)).save(OUT / f"window-launches-trap-{scale}x.png")
        finally:
            window.process.kill()
            window.process.wait()
