"""The window: the scene, live while the guest runs, with panels over it.

Its parts are put together here: what is drawn on (`viewer.app.surface`), the panels (`viewer.app.gui`), pointer and keys
(`viewer.app.input_handler`), the machine (`viewer.app.session`), pictures for files (`viewer.app.screenshot`), when frames are drawn
(`viewer.app.schedule`) and what a frame does (`viewer.app.frames`). They share one `viewer.app.state.ViewerState`.

What can go wrong meanwhile (the machine ends, the graphics device is lost, a settings file is invalid) is a
message in the window and in the log; a machine that returns under its name is shown again.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import wgpu

from gpu_device.device import request_device

from ..picture.offscreen import choose_camera
from ..render.scene import Scene, stand_side_by_side
from ..sources.flows import FlowWatch
from ..sources.queries import Queries
from ..sources.source import Source, name_of, read_page_map
from ..sources.watcher import MemoryWatcher
from ..view.views import Mode, View, parse_view
from . import navigation
from .bookmarks import Bookmarks, bookmarks_path
from .camera_controller import CameraController
from .commands import Command, Commands
from .frames import FrameLoop
from .gui import Gui
from .input_handler import InputHandler
from .schedule import Schedule
from .screenshot import Screenshots
from .session import Session
from .settings import load_settings, save_settings, settings_path
from .state import ShownMachine, ViewerState
from .surface import Surface, open_canvas

log = logging.getLogger(__name__)

_MOST_LOSSES = 3


class Window:
    """One open window on a source, or on several side by side.

    Attributes:
        state: what it shows and what is selected.
        sessions: the connection to each of its machines.
        flows: what they send each other.
        canvas, loop: of rendercanvas.
        has_lost_device: whether the graphics device had to be re-created.
    """

    def __init__(
        self,
        source: Source,
        size: tuple[int, int],
        view: str | None,
        order: int | None,
        canvas: tuple[Any, Any] | None = None,
        others: Sequence[Source] = (),
    ) -> None:
        """`canvas` is any canvas of rendercanvas with its event loop; a window of the desktop unless one is given.

        `others` stand beside `source`.
        """
        self.has_lost_device = False
        self._losses = 0
        self._on_drawn: Callable[[], None] = lambda: None
        self._screenshot_at_end: Path | None = None
        sources, device = (source, *others), request_device()
        scenes = [Scene(device, len(each.ram.view), order) for each in sources]
        for each, scene in zip(sources, scenes, strict=True):
            scene.set_page_map(read_page_map(each))
        stand_side_by_side(scenes, [name_of(each) for each in sources])
        names = ", ".join(map(name_of, sources))
        self.canvas, self.loop = canvas or open_canvas(f"Glass Box - {names}", size)
        self.schedule = Schedule(self.canvas, self.loop)
        self.surface = Surface(self.canvas, *scenes)
        self.state = self._make_state(sources, scenes, names)
        self.sessions = [
            Session(self.state, machine, self.schedule, order, lambda: self.frames.reset())
            for machine in self.state.machines
        ]
        self.flows = FlowWatch(self.state.names, self.schedule.wake)
        self.commands = Commands(self._own_commands(), self.state.settings.keys)
        for sentence in self.commands.problems:
            self.state.notify(sentence, is_problem=True)
        self.gui = Gui(self.canvas, self.state, self.commands)
        navigation.fit_home(self.state, self.gui.layout().free_aspect)
        self.state.controller.settle()
        self.screenshots = Screenshots(self.state, self.surface, self.gui)
        self.frames = FrameLoop(
            self.state, self.surface, self.gui, self.sessions, self.screenshots, self.schedule, self.flows
        )
        self.input = InputHandler(self.canvas, self.state, self.gui, self.commands, self.schedule, self.frames.pick)
        self._use_clipboard()
        self._start_view(view)

    @property
    def session(self) -> Session:
        """The connection to the active machine."""
        return self.sessions[self.state.active_number]

    def _make_state(self, sources: Sequence[Source], scenes: Sequence[Scene], names: str) -> ViewerState:
        wake = self.schedule.wake
        self._settings_path = settings_path()
        settings, problems = load_settings(self._settings_path)
        bookmarks = Bookmarks(names, bookmarks_path())
        controller = CameraController(
            choose_camera(self.surface.renderer), Mode.FLY if settings.mode == Mode.FLY else Mode.ORBIT
        )
        machines = [
            ShownMachine(source, scene, MemoryWatcher(source, wake), Queries(source.connect, wake))
            for source, scene in zip(sources, scenes, strict=True)
        ]
        state = ViewerState(machines, controller, settings, bookmarks, self.schedule.request)
        for sentence in problems + ([bookmarks.problem] if bookmarks.problem else []):
            state.notify(sentence, is_problem=True)
        return state

    def _use_clipboard(self) -> None:
        if getattr(self.canvas, "_window", None) is None:
            self.state.clipboard = self.state.notify  # to be copied by hand
            return
        # Imported here: a canvas of a notebook needs no glfw.
        from .clipboard import Clipboard

        clipboard = Clipboard(self.schedule.wake)
        self.gui.use_clipboard(clipboard)
        self.state.clipboard = clipboard.copy

    def _start_view(self, text: str | None) -> None:
        if text is None:
            return
        view = parse_view(text, View(self.state.controller.home))
        self.state.is_home_chosen = view.camera != self.state.controller.home
        self.state.controller.home = self.state.controller.camera = view.camera
        navigation.show_view(self.state, view)

    def _own_commands(self) -> tuple[Command, ...]:
        return (
            Command("screenshot", "Screenshot", "Machine", ("s", "ctrl-s"), lambda _: self.screenshots.take()),
            Command("shot-4k", "Screenshot, 3840 x 2160", "Machine", (), lambda _: self.screenshots.take("3840x2160")),
            Command("shot-window", "Screenshot with panels", "Machine", ("S", "ctrl-shift-s"), self._save_window),
            Command("execution", "Watch execution", "Machine", ("g",), lambda _: self.session.toggle_execution()),
            Command("close", "Close the window", "Machine", ("q", "ctrl-q"), lambda _: self.canvas.close()),
        )

    def _save_window(self, state: ViewerState) -> None:
        # After this frame: a command may be chosen while ImGui draws.
        self.loop.call_soon(lambda: state.attempt(self.screenshots.save_window))

    def run(self, frames: int | None, after_s: float | None, screenshot: Path | None) -> None:
        """Show the window until it is closed, `frames` were drawn or `after_s` seconds went by."""
        self.frames.stop_after = frames
        if after_s is not None:
            self.loop.call_later(after_s, self._finish)
        self._screenshot_at_end, self._on_drawn = screenshot, self.loop.close_on_interrupt
        self.start()
        try:
            self.loop.run()
        finally:
            self.stop()

    def start(self) -> None:
        """Begin to watch and to draw, on an event loop that the caller runs."""
        self.canvas.request_draw(self._draw)
        for session in self.sessions:
            session.start()
        if len(self.sessions) > 1:
            self.flows.start()

    def stop(self) -> None:
        """End the threads and keep the settings."""
        for session in self.sessions:
            session.stop()
        self.flows.stop()
        self._keep_settings()

    def _finish(self) -> None:
        if self.canvas.get_closed():
            return
        if self._screenshot_at_end is not None:
            path, self._screenshot_at_end = self._screenshot_at_end, None
            self.state.attempt(lambda: self.screenshots.save_window(path))
        self.canvas.close()

    def _keep_settings(self) -> None:
        if self.state.is_dirty_settings and not self.state.is_dragging:
            self.state.is_dirty_settings = False
            self.state.attempt(lambda: save_settings(self.state.settings, self._settings_path))

    def _draw(self) -> None:
        try:
            self.frames.draw()
            self._losses = 0
        except (wgpu.GPUError, RuntimeError) as error:
            self._recover(error)
            return
        self._on_drawn()
        self.input.release_keyboard()
        self._keep_settings()
        for session in self.sessions:
            session.check_machine()
        if self.frames.stop_after is not None and self.frames.count >= self.frames.stop_after:
            self.loop.call_soon(self._finish)

    def _recover(self, error: Exception) -> None:
        """The graphics device failed: create a new one, three times in a row at most."""
        self._losses += 1
        self.has_lost_device = True
        log.warning("drawing failed: %s", error)
        if self._losses > _MOST_LOSSES:
            log.error("the graphics device keeps failing; close other programs that use it, then open the window again")
            self.canvas.close()
            return
        for session in self.sessions:
            session.stop_watching()

        def build() -> None:
            device = request_device()
            for session, machine in zip(self.sessions, self.state.machines, strict=True):
                session.rebuild(device, read_page_map(machine.source))
            self.screenshots.drop()
            self.gui.detach()
            self.gui.attach()
            self.frames.reset()
            reason = " ".join(str(error).split())[:120]
            self.state.notify(f"the graphics device was lost and re-created ({reason})", is_problem=True)

        self.state.attempt(build)


def open_window(
    source: Source,
    *,
    frames: int | None = None,
    screenshot: Path | None = None,
    after_s: float | None = None,
    size: tuple[int, int] = (1280, 720),
    view: str | None = None,
    order: int | None = None,
    others: Sequence[Source] = (),
) -> None:
    """Show `source`, and `others` beside it, in a window until the user closes it.

    `view` is the text of a view (`viewer.view.views`). `frames` and `after_s` (seconds) close the window by themselves, and
    then `screenshot` gets what it last showed. Raises `GraphicsError` without a display or adapter, `UsageError` for a
    wrong view, and what `source` raises if its machine is gone already.
    """
    window = Window(source, size, view, order, others=others)
    window.run(frames, after_s, screenshot)
    if window.has_lost_device:
        leave()


def leave() -> None:
    """End the process at once: the driver's library may crash at taking apart what belonged to a lost device."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
