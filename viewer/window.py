"""The window: the scene, live while the guest runs, with panels over it.

Frames are drawn on demand. While something moves they are drawn at a resolution that holds the frame
rate, one pass each; at rest the picture is refined pass by pass at full resolution, and then nothing is
drawn, and no time spent, until the guest's memory, the page map or the user changes something.

What can go wrong meanwhile (the machine ends, the graphics device is lost, a settings file is no such thing) is a
message in the window and in the log; a machine that returns under its name is shown again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import wgpu

from qemu_bridge.addresses import PAGE_SHIFT, PAGE_SIZE
from qemu_bridge.errors import GlassBoxError, GraphicsError
from qemu_bridge.protocol import Place

from .bookmarks import Bookmarks, bookmarks_path
from .cadence import Cadence
from .commands import Command, Commands
from .curve import to_xyz
from .desk import Desk
from .device import request_device
from .execution import ExecutionWatch
from .input import Eye, key_text
from .labels import Label
from .legend import draw_overlay, find_labels, legend_shift
from .live import Feed
from .look import Mode as LookMode
from .offscreen import choose_camera, parse_picture_size, write_picture
from .questions import Questions
from .raymarch import PASSES, RGBA, Renderer, read_texture
from .scene import Scene, Source, read_page_map
from .settings import load_settings, save_settings, settings_path
from .spot import find_spot, spot_lines
from .tiles import Tiles
from .views import Mode, View, format_view, parse_view

if TYPE_CHECKING:
    from .against import Against
    from .panels import Layout

log = logging.getLogger(__name__)

TARGET_FRAME_S = 0.030
PAGES_PER_FRAME = 1024
MAX_REDUCTION = 8
REST_S = 0.25
CLICK_PIXELS = 4
LEAST_PIXELS = 16
RETRY_S = 1.0
_UI_FRAMES, _MOST_UI_FRAMES = 3, 40


class FramePace:
    """How much smaller than the window pictures are drawn while something moves.

    A frame time over the target makes them smaller at once, a window of six good frames larger again.
    """

    def __init__(self) -> None:
        self.reduction = 2
        self._times: list[float] = []

    def add(self, frame_s: float) -> None:
        """Take note of one frame's time in seconds."""
        self._times = [*self._times[-5:], frame_s]
        if len(self._times) < 6:
            return
        mean = sum(self._times) / len(self._times)
        if mean > 1.1 * TARGET_FRAME_S and self.reduction < MAX_REDUCTION:
            self.reduction, self._times = self.reduction + 1, []
        elif mean < 0.5 * TARGET_FRAME_S and self.reduction > 1:
            self.reduction, self._times = self.reduction - 1, []

    def size(self, width: int, height: int) -> tuple[int, int]:
        """The size to draw at for a window of this size."""
        return max(width // self.reduction, 16), max(height // self.reduction, 16)


def _new_canvas(title: str, size: tuple[int, int]) -> tuple[Any, Any]:
    """(canvas, event loop) of a glfw window; `GraphicsError` where there is no display."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise GraphicsError("there is no display for a window; use glassbox snap to write a picture instead")
    # By name: rendercanvas.auto picks a terminal backend where SSH variables are set.
    import glfw
    from rendercanvas.glfw import RenderCanvas

    from .loop import EventLoop

    if not glfw.init():
        raise GraphicsError("the display does not answer; check DISPLAY, or use glassbox snap to write a picture")
    loop = EventLoop()
    RenderCanvas.select_loop(loop)
    return RenderCanvas(size=size, title=title, update_mode="ondemand", max_fps=60), loop


class Shot:
    """A picture for a file, of any size, drawn a pass a frame so that the window stays alive meanwhile."""

    def __init__(self, desk: Desk, size: tuple[int, int], path: Path) -> None:
        self.path, self.size, self._camera = path, size, desk.eye.camera
        self._renderer = Renderer(desk.scene)
        self._renderer.shift = legend_shift(*size)
        labels = (
            find_labels(desk.scene, self._renderer.pick_pages(self._camera, size)) if desk.is_open("labels") else []
        )
        self._renderer.set_overlay(draw_overlay(size, desk.scene, desk.source.title, labels))

    def step(self) -> bool:
        """Draw one pass more; write the file after the last and return True."""
        self._renderer.draw_pass(self._camera, self.size)
        if self._renderer.passes < PASSES:
            return False
        usage = wgpu.TextureUsage.RENDER_ATTACHMENT | wgpu.TextureUsage.COPY_SRC
        device = self._renderer.device
        target = device.create_texture(size=(*self.size, 1), format="rgba8unorm", usage=usage)
        self._renderer.present(target.create_view(), self.size)
        write_picture(np.ascontiguousarray(read_texture(device, target, RGBA)[..., :3]), self.path)
        return True


class Window:
    """One open window on a source."""

    def __init__(
        self,
        source: Source,
        size: tuple[int, int],
        view: str | None,
        order: int | None,
        canvas: tuple[Any, Any] | None = None,
    ) -> None:
        """`canvas` is any canvas of rendercanvas with its event loop; a window of the desktop unless one is given."""
        self.source, self._order = source, order
        self.has_lost_device = False
        self._execution: ExecutionWatch | None = None
        name = source.title.partition(" · ")[0]
        self._settings_path = settings_path()
        settings, problems = load_settings(self._settings_path)
        self.scene = Scene(request_device(), len(source.ram.view), order)
        self.scene.set_page_map(read_page_map(source))
        self._set_against()
        self.canvas, self.loop = canvas or _new_canvas(f"Glass Box - {name}", size)
        self._context = self.canvas.get_wgpu_context()
        # A window's is bgra8unorm, that of a picture sent elsewhere rgba8unorm; colours are encoded by the shader.
        self._format = self._context.get_preferred_format(self.scene.device.adapter).removesuffix("-srgb")
        self._attach_device()
        home = choose_camera(self.renderer)
        questions = Questions(getattr(source, "connect", None), self._wake)
        eye = Eye(home, Mode.FLY if settings.mode == Mode.FLY else Mode.ORBIT)
        bookmarks = Bookmarks(name, bookmarks_path())
        feed = Feed(source, self._wake)
        self.desk = Desk(source, self.scene, feed, eye, questions, settings, bookmarks, self.request_draw)
        self.desk.clipboard = self._set_clipboard
        if (layout := self._layout()).right:
            # Beside the details less room is left than the first view fills.
            box, aspect = np.array(self.scene.relative_extent), layout.middle_width / layout.body_height
            eye.home = eye.camera = eye.goal = home.framing(np.zeros(3), box, aspect)
        self._start_view(view)
        self.commands = Commands(self._own_commands())
        self._pace = FramePace()
        self._frames = 0
        self._last_frame = self._last_motion = time.monotonic()
        self._frame_times: list[float] = []
        self._picture_key: object = None
        self._labels: list[Label] = []
        self._labels_key: object = None
        self._tiles = Tiles()
        self._cadence = Cadence()
        self._ui_frames = _UI_FRAMES
        self._is_throttled = False
        self._drag: tuple[float, float] | None = None
        self._pressed: tuple[float, float] = (0.0, 0.0)
        self._cursor: tuple[int, int] | None = None
        self._stop_after: int | None = None
        self._screenshot_at_end: Path | None = None
        self._shot: Shot | None = None
        self._seen: dict[str, float] = {}
        self._lost = 0
        self._is_reconnecting = False
        for sentence in problems + ([bookmarks.problem] if bookmarks.problem else []):
            self.desk.say(sentence, is_problem=True)
        for handler, kinds in (
            (self._on_pointer, ("pointer_down", "pointer_move", "pointer_up", "pointer_leave")),
            (self._on_wheel, ("wheel",)),
            (self._on_key, ("key_down", "key_up")),
            (self._on_resize, ("resize",)),
        ):
            self.canvas.add_event_handler(handler, *kinds)
        # Before ImGui takes an event for itself: whatever it is, it may change what the panels show.
        everything = (
            "pointer_down",
            "pointer_move",
            "pointer_up",
            "pointer_leave",
            "wheel",
            "key_down",
            "key_up",
            "char",
        )
        self.canvas.add_event_handler(self._on_any, *everything, order=-100)

    def _attach_device(self) -> None:
        from wgpu.utils.imgui import ImguiRenderer

        from .panels import minimap, theme

        self._context.configure(device=self.scene.device, format=self._format)
        self.renderer = Renderer(self.scene, self._format)
        self._ui = ImguiRenderer(self.scene.device, self.canvas)
        self._ui.set_gui(self._draw_panels)
        self._map = minimap.MapTexture(self._ui.backend)
        self._theme = theme.Theme()
        theme.MONO[:] = [self._theme.mono]

    def _detach_panels(self) -> None:
        # The ImGui renderer that goes would still take events for itself.
        old = self._ui
        for handler, kinds in (
            (old._on_resize, ("resize",)),
            (old._on_mouse_move, ("pointer_move",)),
            (old._on_mouse, ("pointer_up", "pointer_down")),
            (old._on_key, ("key_up", "key_down")),
            (old._on_wheel, ("wheel",)),
            (old._on_char_input, ("char",)),
        ):
            self.canvas.remove_event_handler(handler, *kinds)

    def _start_view(self, text: str | None) -> None:
        if text is None:
            return
        view = parse_view(text, View(self.desk.eye.home))
        self.desk.eye.home = self.desk.eye.camera = view.camera
        self.desk.show_view(view)

    def _set_against(self) -> None:
        # A source may know what it is compared with.
        self._against: Against | None = getattr(self.source, "against", None)
        if self._against is not None:
            self.scene.set_difference(self._against.kinds)

    def _own_commands(self) -> tuple[Command, ...]:
        return (
            Command("screenshot", "Screenshot", "Machine", ("s", "ctrl-s"), lambda _: self.take_screenshot()),
            Command("shot-4k", "Screenshot, 3840 x 2160", "Machine", (), lambda _: self.take_screenshot("3840x2160")),
            Command("shot-window", "Screenshot with panels", "Machine", ("S", "ctrl-shift-s"), self._save_window),
            Command("execution", "Watch what executes", "Machine", ("g",), lambda _: self._toggle_execution()),
            Command("close", "Close the window", "Machine", ("q", "ctrl-q"), lambda _: self.canvas.close()),
        )

    def run(self, frames: int | None, after_s: float | None, screenshot: Path | None) -> None:
        """Show the window until it is closed, `frames` were drawn or `after_s` seconds went by."""
        self._stop_after = frames
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
        self.desk.feed.start()
        self.desk.questions.start()
        self._watch_events()

    def stop(self) -> None:
        """End the threads and keep the settings."""
        if self._execution is not None:
            self._execution.stop()
        self.desk.feed.stop()
        self.desk.questions.stop()
        self._keep_settings()

    def request_draw(self) -> None:
        """Draw soon, and twice more: ImGui shows the effect of an event a frame later."""
        self._ui_frames = _UI_FRAMES
        self.canvas.request_draw()

    # --- drawing ---------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        self._call_soon(self._on_news)

    def _call_soon(self, action: Callable[[], None]) -> None:
        # On any thread.
        try:
            self.loop.call_soon_threadsafe(action)
        except (RuntimeError, AttributeError):
            # The loop of a window that was closed has no inside any more.
            log.debug("news after the window was closed")

    def _draw(self) -> None:
        try:
            self._draw_frame()
            self._lost = 0
        except (wgpu.GPUError, RuntimeError) as error:
            self._recover(error)

    def _draw_frame(self) -> None:
        size = self.canvas.get_physical_size()
        if min(size) < LEAST_PIXELS:
            return  # resized to nothing: there is nobody to draw for
        now = time.monotonic()
        elapsed, self._last_frame = min(now - self._last_frame, 0.1), now
        self._take_answers()
        self._take_news()
        layout = self._layout()
        self.desk.aspect = size[0] / size[1]
        self.desk.free_aspect = layout.middle_width / max(layout.body_height, 1.0)
        if self.desk.eye.update(elapsed):
            self._last_motion = now
            self._pace.add(self.renderer.stopwatch.take_s() or elapsed)
        # A large backlog is drawn like a motion: quickly, and refined when it is done.
        is_resting = now - self._last_motion > REST_S and self.desk.feed.backlog() < PAGES_PER_FRAME
        self._draw_picture(size, layout, is_resting, elapsed)
        self._update_hover(size, is_resting)
        self._update_labels(size, layout, is_resting)
        # Whoever asks a lost device for the surface's texture is ended by the driver's library; this only raises.
        self.scene.device.create_command_encoder().finish()
        self.renderer.present(self._context.get_current_texture().create_view(), size)
        self._ui.render()
        self._after_frame(elapsed, is_resting)

    def _draw_picture(self, size: tuple[int, int], layout: Layout, is_resting: bool, elapsed: float) -> None:
        key = (size, layout.shift, self.scene.look, self.desk.glow and id(self.desk.glow))
        if key != self._picture_key:
            self._picture_key = key
            self.renderer.shift = layout.shift
            self.renderer.restart()
            self._tiles.clear(size)
        if not is_resting:
            self.renderer.restart()
            self._tiles.clear(size)
            self.renderer.draw_pass(self.desk.eye.camera, self._pace.size(*size), soft=False)
            self.desk.drawn_size = self._pace.size(*size)
        elif self._ui_frames > 1 and self.renderer.passes:
            return  # the user is at the panels: they come first, refining can wait
        elif self.renderer.passes < PASSES or not self._tiles.is_done:
            newest = 0.0 if self._tiles.is_done else self._cadence.share(elapsed)
            parts = self._tiles.take()
            if self.renderer.passes < PASSES:
                parts = None  # it is not done as a whole yet
            self.renderer.draw_pass(self.desk.eye.camera, size, newest=newest, parts=parts)
            self.desk.drawn_size = size

    def _layout(self) -> Layout:
        from .panels import lay_out

        settings = self.desk.settings
        right = float(settings.details_width) if self.desk.is_open("details") else None
        return lay_out(self.canvas.get_logical_size(), settings.ui_scale, self.desk.is_open("layers"), right)

    def _draw_panels(self) -> None:
        from .panels import details, help, layers, marks, menu, minimap, palette, status

        desk, layout = self.desk, self._layout()
        self._theme.apply(desk.settings.ui_scale)
        marks.draw(desk, layout, self._labels, self.canvas.get_pixel_ratio())
        menu.draw(desk, self.commands)
        if layout.left:
            layers.draw(desk, layout)
        if layout.right:
            details.draw(desk, layout)
        if desk.is_open("minimap"):
            minimap.draw(desk, layout, self._map)
        status.draw(desk, layout)
        if desk.is_help_open:
            help.draw(desk, layout, self.commands)
        if desk.palette.is_open:
            palette.draw(desk, layout, self.commands)
        elif desk.hover is not None and self._drag is None and not self._ui.backend.io.want_capture_mouse:
            marks.draw_hover(desk.hover)

    def _toggle_execution(self) -> None:
        """Have executed blocks counted and show where, or stop that."""
        if self._execution is not None:
            self._execution.stop()
            self._execution = None
            self.scene.set_executions(None)
            self.desk.set_look(replace(self.scene.look, mode=LookMode.CLASS))
            return
        connect: Callable[[], Any] | None = getattr(self.source, "connect", None)
        if connect is None:
            self.desk.say("there is no machine that could execute anything; open a running one", is_problem=True)
            return
        self._execution = ExecutionWatch(connect, self.scene.page_count, self._wake)
        self._execution.start()
        self.scene.set_executions(self._execution.counts)
        self.desk.set_look(replace(self.scene.look, mode=LookMode.EXECUTION))
        self.desk.say("what executes is counted; the guest runs slower meanwhile")

    def _take_news(self) -> None:
        if self._execution is not None and self._execution.problem:
            self.desk.say(self._execution.problem, is_problem=True)
            self._toggle_execution()
        # Pages first, then the table over them: a page is never shown as something it was before.
        pages, written = self.desk.feed.take(PAGES_PER_FRAME << PAGE_SHIFT)
        now = time.monotonic()
        if self._against is not None:
            self._against.update(pages)
        self._cadence.see(pages[written], self.scene.ink.heat.written_s[pages[written]], now)
        self.scene.update_pages(self.source.ram.view, pages, written, now)
        page_map = self.desk.feed.take_page_map()
        is_new_map = page_map is not None and self.scene.set_page_map(page_map)
        if is_new_map and "Linux" not in self.source.title and (retitle := getattr(self.source, "retitle", None)):
            self.desk.questions.ask("title", lambda _: retitle())
        self.scene.advance(self.source.ram.view, now)
        stale = self.scene.take_stale()
        if is_new_map:
            self._tiles.mark_all(PASSES)
        elif len(stale):
            places = to_xyz(stale.astype(np.uint64), self.scene.page_order) / self.scene.edge
            self._tiles.mark(places, 1 / self.scene.edge, self.desk.eye.camera, self.renderer.shift, PASSES)

    def _take_answers(self) -> None:
        for topic, take in (("glow", self._take_glow), ("follow", self._take_place), ("status", self._take_status)):
            answer = self.desk.questions.answer(topic)
            if answer is None or self._seen.get(topic) == answer.time_s:
                continue
            self._seen[topic] = answer.time_s
            if answer.error:
                self.desk.say(answer.error, is_problem=True)
            else:
                take(answer.value)

    def _take_glow(self, value: Any) -> None:  # noqa: ANN401  # what the question made
        title, pages, fly = value
        self.desk.show_pages(title, pages, fly=fly)
        if len(pages) == 1:
            self.desk.select(int(pages[0]) << PAGE_SHIFT)

    def _take_place(self, value: Any) -> None:  # noqa: ANN401  # what the question made
        if isinstance(value, Place):
            self.desk.mark("follow")
            self.desk.select(int(value.ram_offset))
            if not self.desk.is_in_sight():
                self.desk.frame()

    def _take_status(self, value: Any) -> None:  # noqa: ANN401  # what the question made
        self.desk.status = dict(value)

    def _update_labels(self, size: tuple[int, int], layout: Layout, is_resting: bool) -> None:
        # Labels stand only while the picture does.
        with_labels, with_map = self.desk.is_open("labels"), self.desk.is_open("minimap")
        wanted = (with_labels or with_map) and is_resting
        counts = tuple(self.scene.page_map.counts().items()) if self.scene.page_map else ()
        camera = self.desk.eye.camera
        key = (size, layout, self.scene.look, counts, camera, with_labels, with_map) if wanted else None
        if key == self._labels_key:
            return
        self._labels_key, self._labels = key, []
        if wanted:
            picked = self.renderer.pick_pages(self.desk.eye.camera, size)
            ratio = self.canvas.get_pixel_ratio()
            picked[:, round((layout.width - layout.right - 20) * ratio) :] = -1
            picked[:, : round((layout.left + 20) * ratio)] = -1
            self.desk.in_view = np.unique(picked[picked >= 0]).astype(np.int64)
            self._labels = find_labels(self.scene, picked) if with_labels else []

    def _update_hover(self, size: tuple[int, int], is_resting: bool) -> None:
        # While anything moves nothing is asked: an answer would come a frame late and hold the next one up.
        if self._cursor is None or self._drag is not None:
            self.desk.hover = None
        elif is_resting:
            self.desk.hover = find_spot(self.renderer, self.source.ram, self.desk.eye.camera, size, self._cursor)

    def _after_frame(self, elapsed: float, is_resting: bool) -> None:
        self._frames += 1
        self._frame_times = [*self._frame_times[-29:], elapsed]
        self.desk.frames_per_s = len(self._frame_times) / max(sum(self._frame_times), 1e-6)
        is_refining = not is_resting or self.renderer.passes < PASSES or self.desk.eye.is_moving
        is_refining = is_refining or self._step_shot()
        is_unfinished = is_refining or not self._tiles.is_done or self.desk.feed.backlog() > 0
        is_unfinished |= not self.scene.is_settled
        if self.desk.is_idle == is_unfinished:
            self.desk.is_idle = not is_unfinished
            self._ui_frames = max(self._ui_frames, 1)
            self._set_title()
        self._keep_settings()
        self._check_machine()
        if self._stop_after is not None and self._frames >= self._stop_after:
            self.loop.call_soon(self._finish)
        elif is_refining or self._stop_after is not None or self._ui_frames > 0:
            self._ui_frames -= 1
            self.canvas.request_draw()
        elif is_unfinished:
            self._draw_soon()
        elif self.desk.news(time.monotonic()):
            self._draw_later(1.0)

    def _on_news(self) -> None:
        if not self._is_throttled and not self.canvas.get_closed():
            self._ui_frames = max(self._ui_frames, 1)
            self.canvas.request_draw()

    def _draw_soon(self) -> None:
        # Only the guest moves: leave it two thirds of the time, for its processors and a software driver's
        # renderer are the same.
        if self.scene.is_settled:
            self._cadence.hurry()  # what is left to draw comes to an end
        self.scene.pool.wait()
        self._draw_later(self._cadence.pause_s(time.monotonic() - self._last_frame))

    def _draw_later(self, seconds: float) -> None:
        if not self._is_throttled:
            self._is_throttled = True
            self.loop.call_later(seconds, self._end_throttle)

    def _end_throttle(self) -> None:
        self._is_throttled = False
        if not self.canvas.get_closed():
            self.canvas.request_draw()

    def _set_title(self) -> None:
        state = "machine gone" if self.desk.feed.error else "at rest" if self.desk.is_idle else "live"
        self.canvas.set_title(f"Glass Box - {self.desk.name} - {state}")

    # --- pictures --------------------------------------------------------------------------------------------

    def take_screenshot(self, wanted: str = "") -> None:
        """Write a picture of the view, without panels, of the size that the settings say, or of ``WxH``."""
        wanted = wanted or self.desk.settings.screenshot
        size = self.canvas.get_physical_size() if wanted == "window" else parse_picture_size(wanted)
        path = Path(time.strftime(f"glassbox-{self.desk.name}-%Y%m%d-%H%M%S.png"))

        def begin() -> None:
            self._shot = Shot(self.desk, size, path)
            self.desk.say(f"drawing {path}, {size[0]} x {size[1]}; the view is --at {format_view(self.desk.view)}")

        self.desk.attempt(begin)

    def _step_shot(self) -> bool:
        shot = self._shot
        if shot is None:
            return False
        try:
            if shot.step():
                self._shot = None
                self.desk.say(f"wrote {shot.path}")
        except GlassBoxError as error:
            self._shot = None
            self.desk.say(str(error), is_problem=True)
        return self._shot is not None

    def _save_window(self, _desk: Desk) -> None:
        path = Path(time.strftime(f"glassbox-{self.desk.name}-window-%Y%m%d-%H%M%S.png"))
        self.loop.call_soon(lambda: self.desk.attempt(lambda: self.save_window(path)))

    def save_window(self, path: Path) -> None:
        """Write what the window shows, panels and all, to `path` as PNG."""
        from imgui_bundle import imgui

        size = self.canvas.get_physical_size()
        if self.renderer.passes == 0:
            self.renderer.draw_pass(self.desk.eye.camera, size)
        device = self.scene.device
        usage = wgpu.TextureUsage.RENDER_ATTACHMENT | wgpu.TextureUsage.COPY_SRC
        target = device.create_texture(size=(*size, 1), format=self._format, usage=usage)
        self.renderer.present(target.create_view(), size)
        encoder = device.create_command_encoder()
        attachment = {"view": target.create_view(), "load_op": "load", "store_op": "store"}
        render = encoder.begin_render_pass(color_attachments=[attachment])
        imgui.set_current_context(self._ui.imgui_context)
        if (drawn := imgui.get_draw_data()) is not None:
            self._ui.backend.render(drawn, render)
        render.end()
        device.queue.submit([encoder.finish()])
        pixels = read_texture(device, target, RGBA)[..., :3]
        write_picture(np.ascontiguousarray(pixels[..., ::-1] if self._format.startswith("b") else pixels), path)
        self.desk.say(f"wrote {path}; the view is --at {format_view(self.desk.view)}")

    def _finish(self) -> None:
        if self.canvas.get_closed():
            return
        if self._screenshot_at_end is not None:
            path, self._screenshot_at_end = self._screenshot_at_end, None
            self.desk.attempt(lambda: self.save_window(path))
        self.canvas.close()

    # --- what can go wrong -----------------------------------------------------------------------------------

    def _keep_settings(self) -> None:
        if self.desk.is_dirty_settings and self._drag is None:
            self.desk.is_dirty_settings = False
            self.desk.attempt(lambda: save_settings(self.desk.settings, self._settings_path))

    def _check_machine(self) -> None:
        # Looked for on a thread of its own, once a second, while the machine is gone.
        if self.desk.feed.error is None or self._is_reconnecting or not hasattr(self.source, "reopen"):
            return
        self._is_reconnecting = True
        self.desk.say(f"{self.desk.feed.error}; waiting for it to return", is_problem=True)
        self._set_title()
        threading.Thread(target=self._reconnect, name="viewer-reconnect", daemon=True).start()

    def _reconnect(self) -> None:
        while not self.canvas.get_closed():
            time.sleep(RETRY_S)
            try:
                source = self.source.reopen()  # type: ignore[attr-defined]
                page_map = read_page_map(source)
            except (GlassBoxError, OSError):
                continue
            self._call_soon(partial(self._replace_source, source, page_map))
            return

    def _replace_source(self, source: Source, page_map: Any) -> None:  # noqa: ANN401  # a PageMap
        if self.canvas.get_closed():
            return
        self._is_reconnecting = False
        for part in (self.desk.feed, self.desk.questions):
            part.stop()
        self.source = source

        def build() -> None:
            self._build_scene(self.scene.device)
            self.scene.set_page_map(page_map)
            self.renderer = Renderer(self.scene, self._format)
            self._picture_key = None
            self.desk.say(f"{self.desk.name} is back")

        self.desk.attempt(build)
        self._watch_events()

    def _build_scene(self, device: wgpu.GPUDevice) -> None:
        """A new scene, feed and questioner on the present source; views and choices stay."""
        look = self.scene.look
        self.scene = Scene(device, len(self.source.ram.view), self._order)
        self.scene.set_look(look)
        self.scene.set_executions(None if self._execution is None else self._execution.counts)
        self._set_against()
        desk = self.desk
        desk.source, desk.scene, desk.glow, desk.hover = self.source, self.scene, None, None
        desk.pin = desk.pin if desk.pin is not None and desk.pin < len(self.source.ram.view) else None
        desk.feed, desk.questions = (
            Feed(self.source, self._wake),
            Questions(getattr(self.source, "connect", None), self._wake),
        )
        desk.feed.start()
        desk.questions.start()

    def _recover(self, error: Exception) -> None:
        """The graphics device failed: take a new one, three times in a row at most."""
        self._lost += 1
        self.has_lost_device = True
        log.warning("drawing failed: %s", error)
        if self._lost > 3:
            log.error("the graphics device fails again and again; close other programs that use it and start again")
            self.canvas.close()
            return
        self.desk.feed.stop()
        self.desk.questions.stop()

        def build() -> None:
            self._build_scene(request_device())
            self.scene.set_page_map(read_page_map(self.source))
            self._detach_panels()
            self._attach_device()
            self._picture_key = None
            reason = " ".join(str(error).split())[:120]
            self.desk.say(f"the graphics device was lost and taken anew ({reason})", is_problem=True)

        self.desk.attempt(build)

    def _watch_events(self) -> None:
        connect: Callable[[], Any] | None = getattr(self.source, "connect", None)
        if connect is not None:
            threading.Thread(target=self._relay_events, args=(connect,), name="viewer-events", daemon=True).start()

    def _relay_events(self, connect: Callable[[], Any]) -> None:
        # The machine's runstate, as it changes. Its end is the feed's to tell.
        with contextlib.suppress(GlassBoxError, OSError):
            for event in connect().events():
                if self.canvas.get_closed():
                    return
                if event.get("event") == "runstate":
                    self.desk.status = {**self.desk.status, "runstate": str(event.get("runstate", ""))}
                elif event.get("event") != "exited":
                    continue
                else:
                    self.desk.status = {}
                self._call_soon(self._follow_runstate)

    def _follow_runstate(self) -> None:
        # The memory of a guest that stands still need not be watched.
        self._cadence.hurry()
        self._on_news()
        self.desk.feed.set_still(self.desk.status.get("runstate") == "paused")

    # --- the user --------------------------------------------------------------------------------------------

    def _set_clipboard(self, text: str) -> None:
        if (window := getattr(self.canvas, "_window", None)) is None:
            self.desk.say(text)  # a canvas without a clipboard: to be copied by hand
            return
        import glfw

        glfw.set_clipboard_string(window, text)

    def _on_any(self, event: dict[str, Any]) -> None:
        if event["event_type"] == "pointer_leave":
            self._ui.backend.io.add_mouse_pos_event(-1e30, -1e30)
        elif event["event_type"] == "pointer_move" and self._ui.backend.io.want_capture_mouse:
            self._cursor = None
        elif event["event_type"] == "key_down" and event["key"] == "Escape" and self.desk.palette.is_open:
            # ImGui would keep it: in a field it means to take back what was typed.
            self.desk.palette.is_open = False
            event["stop_propagation"] = True
        self._cadence.hurry()
        self.desk.feed.hurry()
        # ImGui takes one of several keys that come together in each frame.
        self._ui_frames = min(max(self._ui_frames + 1, _UI_FRAMES), _MOST_UI_FRAMES)
        self.canvas.request_draw()

    def _on_pointer(self, event: dict[str, Any]) -> None:
        kind = event["event_type"]
        if kind == "pointer_leave":
            self._point_at(None)
            return
        here = (float(event["x"]), float(event["y"]))
        if kind == "pointer_down":
            self._drag = self._pressed = here
            self.desk.mark("grasp")
        elif kind == "pointer_up":
            is_ours, self._drag = self._drag is not None, None
            if is_ours and max(abs(here[0] - self._pressed[0]), abs(here[1] - self._pressed[1])) < CLICK_PIXELS:
                self._click(here)
        elif self._drag is None or not event["buttons"]:
            self._drag = None
            self._point_at(here)
        else:
            dx, dy = here[0] - self._drag[0], here[1] - self._drag[1]
            self._drag = here
            height = max(self.canvas.get_logical_size()[1], 1)
            is_pan = 1 not in event["buttons"] or "Shift" in event["modifiers"]
            self.desk.eye.drag(dx / height, dy / height, is_pan)

    def _point_at(self, here: tuple[float, float] | None) -> None:
        ratio = self.canvas.get_pixel_ratio()
        self._cursor = None if here is None else (int(here[0] * ratio), int(here[1] * ratio))

    def _click(self, here: tuple[float, float]) -> None:
        self._point_at(here)
        assert self._cursor is not None
        size = self.canvas.get_physical_size()
        spot = find_spot(self.renderer, self.source.ram, self.desk.eye.camera, size, self._cursor)
        self.desk.select(None if spot is None else spot.page * PAGE_SIZE + spot.offset)
        if spot is not None:
            log.info("%s", "; ".join(spot_lines(spot)))

    def _on_wheel(self, event: dict[str, Any]) -> None:
        self.desk.mark("wheel")
        self.desk.eye.wheel(-float(event["dy"]) / 100)

    def _on_resize(self, _event: dict[str, Any]) -> None:
        self.request_draw()

    def _on_key(self, event: dict[str, Any]) -> None:
        key, desk = key_text(event), self.desk
        if event["event_type"] == "key_up":
            desk.eye.hold(str(event["key"]), False)
            return
        if key == "Escape":
            self._escape()
        elif desk.palette.is_open:
            return
        elif "-" not in key[1:] and desk.eye.hold(key, True):
            desk.mark("walk")
        else:
            desk.attempt(lambda: self.commands.press(desk, key))

    def _escape(self) -> None:
        """Close what lies on top; the window itself when nothing does."""
        desk = self.desk
        if desk.palette.is_open:
            desk.palette.is_open = False
        elif desk.is_help_open:
            desk.is_help_open = False
        elif desk.pin is not None:
            desk.select(None)
        elif desk.glow is not None:
            desk.drop_glow()
        else:
            self.canvas.close()


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

    `view` is the text of a view (`viewer.views`). `frames` and `after_s` (seconds) close the window by themselves, and
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
