"""The window: the scene, live while the guest runs, with panels over it.

Its parts are put together here: what is drawn on (`viewer.app.surface`), the panels (`viewer.app.gui`), pointer and keys
(`viewer.app.controller`), the machine (`viewer.app.session`), pictures for files (`viewer.app.screenshot`), when frames are drawn
(`viewer.app.schedule`) and what a frame does (`viewer.app.frames`). They share one `viewer.app.desk.Desk`.

What can go wrong meanwhile (the machine ends, the graphics device is lost, a settings file is no such thing) is a
message in the window and in the log; a machine that returns under its name is shown again.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import wgpu

from gpu_device.device import request_device

from ..picture.offscreen import choose_camera
from ..render.scene import Scene
from ..sources.live import Feed
from ..sources.questions import Questions
from ..sources.source import Source, read_page_map
from ..view.views import Mode, View, parse_view
from .bookmarks import Bookmarks, bookmarks_path
from .commands import Command, Commands
from .controller import Controller
from .desk import Desk
from .frames import FrameLoop
from .gui import Gui
from .input import Eye
from .schedule import Schedule
from .screenshot import Screenshots
from .session import Session, connector
from .settings import load_settings, save_settings, settings_path
from .surface import Surface, open_canvas

log = logging.getLogger(__name__)

_MOST_LOSSES = 3


class Window:
    """One open window on a source.

    Attributes:
        desk: what it shows and what is selected.
        canvas, loop: of rendercanvas.
        has_lost_device: whether the graphics device had to be taken anew.
    """

    def __init__(
        self,
        source: Source,
        size: tuple[int, int],
        view: str | None,
        order: int | None,
        canvas: tuple[Any, Any] | None = None,
    ) -> None:
        """`canvas` is any canvas of rendercanvas with its event loop; a window of the desktop unless one is given."""
        self.has_lost_device = False
        self._losses = 0
        self._screenshot_at_end: Path | None = None
        name = source.title.partition(" · ")[0]
        scene = Scene(request_device(), len(source.ram.view), order)
        scene.set_page_map(read_page_map(source))
        self.canvas, self.loop = canvas or open_canvas(f"Glass Box - {name}", size)
        self.schedule = Schedule(self.canvas, self.loop)
        self.surface = Surface(self.canvas, scene)
        self.desk = self._make_desk(source, scene, name)
        self.session = Session(self.desk, self.schedule, order, lambda: self.frames.renew())
        self.commands = Commands(self._own_commands())
        self.gui = Gui(self.canvas, self.desk, self.commands)
        self._fit_first_view()
        self.screenshots = Screenshots(self.desk, self.surface, self.gui)
        self.frames = FrameLoop(self.desk, self.surface, self.gui, self.session, self.screenshots, self.schedule)
        controller = Controller(self.canvas, self.desk, self.gui, self.commands, self.schedule, self.frames.pick)
        self.desk.clipboard = controller.set_clipboard
        self._start_view(view)

    def _make_desk(self, source: Source, scene: Scene, name: str) -> Desk:
        wake = self.schedule.wake
        self._settings_path = settings_path()
        settings, problems = load_settings(self._settings_path)
        bookmarks = Bookmarks(name, bookmarks_path())
        eye = Eye(choose_camera(self.surface.renderer), Mode.FLY if settings.mode == Mode.FLY else Mode.ORBIT)
        questions = Questions(connector(source), wake)
        desk = Desk(source, scene, Feed(source, wake), eye, questions, settings, bookmarks, self.schedule.request)
        for sentence in problems + ([bookmarks.problem] if bookmarks.problem else []):
            desk.say(sentence, is_problem=True)
        return desk

    def _fit_first_view(self) -> None:
        if (layout := self.gui.layout()).right:
            # Beside the details less room is left than the first view fills.
            eye, box = self.desk.eye, np.array(self.desk.scene.relative_extent)
            home = eye.home.framing(np.zeros(3), box, layout.middle_width / layout.body_height)
            eye.home = eye.camera = eye.goal = home

    def _start_view(self, text: str | None) -> None:
        if text is None:
            return
        view = parse_view(text, View(self.desk.eye.home))
        self.desk.eye.home = self.desk.eye.camera = view.camera
        self.desk.show_view(view)

    def _own_commands(self) -> tuple[Command, ...]:
        return (
            Command("screenshot", "Screenshot", "Machine", ("s", "ctrl-s"), lambda _: self.screenshots.take()),
            Command("shot-4k", "Screenshot, 3840 x 2160", "Machine", (), lambda _: self.screenshots.take("3840x2160")),
            Command("shot-window", "Screenshot with panels", "Machine", ("S", "ctrl-shift-s"), self._save_window),
            Command("execution", "Watch what executes", "Machine", ("g",), lambda _: self.session.toggle_execution()),
            Command("close", "Close the window", "Machine", ("q", "ctrl-q"), lambda _: self.canvas.close()),
        )

    def _save_window(self, desk: Desk) -> None:
        # After this frame: a command may be chosen while ImGui draws.
        self.loop.call_soon(lambda: desk.attempt(self.screenshots.save_window))

    def run(self, frames: int | None, after_s: float | None, screenshot: Path | None) -> None:
        """Show the window until it is closed, `frames` were drawn or `after_s` seconds went by."""
        self.frames.stop_after = frames
        if after_s is not None:
            self.loop.call_later(after_s, self._finish)
        self._screenshot_at_end = screenshot
        self.start()
        try:
            self.loop.run()
        finally:
            self.stop()

    def start(self) -> None:
        """Begin to watch and to draw, on an event loop that somebody else runs."""
        self.canvas.request_draw(self._draw)
        self.session.start()

    def stop(self) -> None:
        """End the threads and keep the settings."""
        self.session.stop()
        self._keep_settings()

    def _finish(self) -> None:
        if self.canvas.get_closed():
            return
        if self._screenshot_at_end is not None:
            path, self._screenshot_at_end = self._screenshot_at_end, None
            self.desk.attempt(lambda: self.screenshots.save_window(path))
        self.canvas.close()

    def _keep_settings(self) -> None:
        if self.desk.is_dirty_settings and not self.desk.is_dragging:
            self.desk.is_dirty_settings = False
            self.desk.attempt(lambda: save_settings(self.desk.settings, self._settings_path))

    def _draw(self) -> None:
        try:
            self.frames.draw()
            self._losses = 0
        except (wgpu.GPUError, RuntimeError) as error:
            self._recover(error)
            return
        self._keep_settings()
        self.session.look_after()
        if self.frames.stop_after is not None and self.frames.count >= self.frames.stop_after:
            self.loop.call_soon(self._finish)

    def _recover(self, error: Exception) -> None:
        """The graphics device failed: take a new one, three times in a row at most."""
        self._losses += 1
        self.has_lost_device = True
        log.warning("drawing failed: %s", error)
        if self._losses > _MOST_LOSSES:
            log.error("the graphics device fails again and again; close other programs that use it and start again")
            self.canvas.close()
            return
        self.session.rest()

        def build() -> None:
            self.session.rebuild(request_device(), read_page_map(self.desk.source))
            self.screenshots.drop()
            self.gui.detach()
            self.gui.attach()
            self.frames.renew()
            reason = " ".join(str(error).split())[:120]
            self.desk.say(f"the graphics device was lost and taken anew ({reason})", is_problem=True)

        self.desk.attempt(build)


def open_window(
    source: Source,
    *,
    frames: int | None = None,
    screenshot: Path | None = None,
    after_s: float | None = None,
    size: tuple[int, int] = (1280, 720),
    view: str | None = None,
    order: int | None = None,
) -> None:
    """Show `source` in a window until the user closes it.

    `view` is the text of a view (`viewer.view.views`). `frames` and `after_s` (seconds) close the window by themselves, and
    then `screenshot` gets what it last showed. Raises `GraphicsError` without a display or adapter, `UsageError` for a
    wrong view, and what `source` raises if its machine is gone already.
    """
    window = Window(source, size, view, order)
    window.run(frames, after_s, screenshot)
    if window.has_lost_device:
        leave()


def leave() -> None:
    """End the process at once: the driver's library may crash at taking apart what belonged to a lost device."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
