"""One graphics device for all tests of the viewer, and made-up memory to draw with it."""

from __future__ import annotations

import os
import queue
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from support import OUT, virtual_display
from synthetic import SyntheticSource

from viewer.app.bookmarks import Bookmarks
from viewer.app.camera_controller import CameraController
from viewer.app.notebook import show_on, window_of
from viewer.app.settings import Settings
from viewer.app.state import ShownMachine, ViewerState
from viewer.app.window import Window
from viewer.picture.offscreen import choose_camera, load_scene
from viewer.render.raymarch import Renderer
from viewer.sources.queries import Queries
from viewer.sources.source import Source
from viewer.sources.watcher import MemoryWatcher

REFERENCES = Path(__file__).resolve().parents[1] / "references"


def rmse(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
    """Root of the mean squared difference of two pictures, 1 for black against white."""
    return float(np.sqrt(np.mean((one.astype(np.float64) - other) ** 2)) / 255)


class Pictures:
    """Compares pictures with references; keeps what differs in tests/out."""

    @staticmethod
    def rmse(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
        return rmse(one, other)

    @staticmethod
    def check(picture: npt.NDArray[np.uint8], name: str, tolerance: float = 0.02) -> None:
        """Fail unless `picture` is within `tolerance` of the reference `name`."""
        Image.fromarray(picture).save(OUT / f"{name}.png")
        path = REFERENCES / f"{name}.png"
        assert path.exists(), f"no reference; look at {OUT / name}.png and copy it to {path}"
        reference = np.asarray(Image.open(path).convert("RGB"))
        assert reference.shape == picture.shape
        difference = rmse(picture, reference)
        if difference > tolerance:
            amplified = np.clip(4 * np.abs(picture.astype(np.int16) - reference), 0, 255).astype(np.uint8)
            Image.fromarray(amplified).save(OUT / f"{name}-difference.png")
        assert difference <= tolerance, f"differs by {difference:.4f}; see {OUT / name}-difference.png"


@pytest.fixture
def source() -> SyntheticSource:
    return SyntheticSource()


@pytest.fixture
def pictures() -> Pictures:
    return Pictures()


@pytest.fixture
def state(device, source, tmp_path) -> ViewerState:
    """What panels share, over made-up memory, with nobody to ask."""
    scene = load_scene(source, device)
    controller = CameraController(choose_camera(Renderer(scene)))
    watcher, queries = MemoryWatcher(source, lambda: None), Queries(None, lambda: None)
    machine = ShownMachine(source, scene, watcher, queries)
    return ViewerState([machine], controller, Settings(), Bookmarks("synthetic", tmp_path / "b.toml"), lambda: None)


class Turns:
    """An event loop that a test turns by hand."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[tuple[float, Callable[[], object]]] = queue.SimpleQueue()

    def call_soon_threadsafe(self, call: Callable[[], object]) -> None:
        self.call_later(0, call)

    call_soon = call_soon_threadsafe

    def call_later(self, delay_s: float, call: Callable[[], object]) -> None:
        self._calls.put((time.monotonic() + delay_s, call))

    def turn(self) -> None:
        """Do what is due."""
        for _ in range(self._calls.qsize()):
            due_s, call = self._calls.get()
            if due_s <= time.monotonic():
                call()
            else:
                self._calls.put((due_s, call))


class Screen:
    """A window on an offscreen canvas over made-up memory: frames are drawn when a test asks for them."""

    def __init__(self, window: Window) -> None:
        self.window, self.state, self._loop = window, window.state, window.loop

    def draw(self, frames: int = 1) -> npt.NDArray[np.uint8]:
        """What the window shows after so many frames more, without alpha."""
        for _ in range(frames):
            self._loop.turn()
            shown = np.asarray(self.window.canvas.draw())
        return shown[..., :3].copy()

    def draw_until(self, condition: Callable[[], object], limit_s: float = 120) -> npt.NDArray[np.uint8]:
        """Draw until `condition` holds; fail if it does not in `limit_s` seconds."""
        deadline = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < deadline, "the window never came to that"
            self.draw()
        return self.draw()

    def send(self, kind: str, **what: object) -> None:
        """An event of the canvas, and a frame that shows its effect."""
        event = {"event_type": kind, "modifiers": (), "buttons": (), "x": 0.0, "y": 0.0, **what}
        self.window.canvas.submit_event(event)
        self.window.canvas._process_events()  # what a running loop does; this canvas has none
        self.draw()

    def press(self, key: str, *modifiers: str) -> None:
        """A key goes down and up."""
        for kind in ("key_down", "key_up"):
            self.send(kind, key=key, modifiers=modifiers)


@pytest.fixture(scope="module")
def open_screen(tmp_path_factory) -> Iterator[Callable[..., Screen]]:
    """Opens windows with the panels of a first start; they close at the end of the file."""
    from rendercanvas.offscreen import RenderCanvas

    canvases = []

    def open_one(source: Source, *others: Source) -> Screen:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
            canvas = RenderCanvas(size=(800, 500))
            canvases.append(show_on(canvas, Turns(), source, (800, 500), others=others))
        return Screen(window_of(canvases[-1]))

    yield open_one
    for canvas in canvases:
        window_of(canvas).stop()
        canvas.close()


@pytest.fixture(scope="module")
def screen(open_screen) -> Screen:
    """One window over made-up memory for all tests of a file."""
    return open_screen(SyntheticSource())


@pytest.fixture
def no_errors(caplog) -> Iterator[None]:
    """Fail where anything was logged as an error: what fails while drawing a canvas only logs."""
    yield
    errors = [record.getMessage() for record in caplog.get_records("call") if record.levelname in ("ERROR", "CRITICAL")]
    assert not errors


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    """A virtual display of 800x600, by name."""
    with virtual_display("800x600") as name:
        yield name


@pytest.fixture(scope="module")
def dense_display() -> Iterator[str]:
    """A virtual display whose resources say 192 dots an inch, by name."""
    with virtual_display("1400x900") as name:
        words = ["xprop", "-root", "-f", "RESOURCE_MANAGER", "8s", "-set", "RESOURCE_MANAGER", "Xft.dpi:\t192\n"]
        subprocess.run(words, env={**os.environ, "DISPLAY": name}, check=True, timeout=30)
        yield name
