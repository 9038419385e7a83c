"""A window on made-up memory in a process of its own, on a real display, and somebody at its keyboard."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from support import wait_until

TESTS = Path(__file__).resolve().parent
DRIVER = """
import sys
sys.path.insert(0, sys.argv[1])
from synthetic import SyntheticSource
from viewer.app.window import Window
window = Window(SyntheticSource(), (640, 360), None, None)
state, press, names = window.state, window.commands.press, set(sys.argv[2].split())
def tell(*words):
    print(*words, flush=True)
def told(state, key):
    command = window.commands._by_key.get(key)
    tell("pressed", repr(key), command and command.name)
    return not names.intersection({"all", command and command.name}) or press(state, key)
window.commands.press = told
was = None
def look():
    global was
    box = state.command_palette
    now = ("palette", box.is_open, repr(box.query)), ("help", state.is_help_open), ("menu", window.gui.is_menu_open), ("pin", state.pin)
    if now != was:
        for line in now:
            tell(*line)
        was = now
    if not window.canvas.get_closed():
        window.loop.call_later(0.02, look)
look()
tell("ready")
window.run(None, 600, None)
"""


def environment(display, folder):
    """A process's, with settings of its own: nothing beside the picture, no words in it."""
    settings = folder / "glassbox" / "viewer.toml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text("panels = []\n")
    own = {"DISPLAY": display, "PYTHONPATH": str(TESTS.parent), "XDG_CONFIG_HOME": str(folder)}
    return {name: value for name, value in os.environ.items() if name != "WAYLAND_DISPLAY"} | own


class Typist:
    """A window in a process of its own, and somebody at its keyboard; `does` are the commands that really run, or ``all``."""

    def __init__(self, display, folder, does):
        self.environment = environment(display, folder)
        self._folder, self.log = folder, folder / "keys.log"
        self.set_layout("us")
        with self.log.open("w") as log:
            words = [sys.executable, "-c", DRIVER, str(TESTS), does]
            self.process = subprocess.Popen(words, env=self.environment, stdout=log, stderr=subprocess.STDOUT)
        self.act("search", "--sync", "--name", "Glass Box - synthetic", "mousemove", "320", "200")
        self.wait_for("ready")

    def set_layout(self, name):
        subprocess.run(["setxkbmap", *name.split()], env=self.environment, check=True, timeout=30)

    def act(self, *words):
        subprocess.run(["xdotool", *words], env=self.environment, check=True, timeout=30, capture_output=True)

    def lines(self):
        return self.log.read_text().splitlines()

    def wait_for(self, line):
        """Wait until the window tells `line`, after what it told before."""

        def is_there():
            assert self.process.poll() is None, self.log.read_text()[-2000:]
            return line in self.lines()[self._seen :]

        try:
            wait_until(is_there)
        except AssertionError:
            raise AssertionError(f"never told {line!r}: {self.lines()[-12:]}") from None
        self._seen += self.lines()[self._seen :].index(line) + 1

    _seen = 0

    def grab(self):
        path = self._folder / "root.png"
        words = ["import", "-display", self.environment["DISPLAY"], "-window", "root", str(path)]
        subprocess.run(words, check=True, timeout=30)
        return np.asarray(Image.open(path).convert("RGB"))
