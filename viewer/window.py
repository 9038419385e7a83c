"""The window: the scene with an orbit camera, live while the guest runs.

Frames are drawn on demand. While something moves they are drawn at a resolution that holds the frame
rate, one pass each; at rest the picture is refined pass by pass at full resolution, and then nothing is
drawn, and no time spent, until the guest's memory, the page map or the user changes something.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import wgpu

from qemu_bridge.addresses import PAGE_SHIFT
from qemu_bridge.errors import GraphicsError
from qemu_bridge.protocol import PageClass

from .camera import Camera, format_camera
from .device import request_device
from .legend import draw_overlay, find_labels, legend_classes, legend_shift
from .live import Feed
from .offscreen import choose_camera, write_picture
from .raymarch import PASSES, RGBA, Renderer, read_texture
from .scene import Scene, Source, read_page_map
from .spot import Spot, draw_spot, find_spot, place_box, read_spot, spot_lines

log = logging.getLogger(__name__)

TARGET_FRAME_S = 0.030
PAGES_PER_FRAME = 1024
MAX_REDUCTION = 8
REST_S = 0.25
CLICK_PIXELS = 4
_FORMAT = "bgra8unorm"
KEYS = (
    ("drag", "turn"),
    ("right drag, shift drag", "move sideways"),
    ("wheel", "nearer, farther"),
    ("hover", "what is under the cursor"),
    ("click", "keep that box, tell it in the log; on air let it go"),
    ("1-9", "show or hide a class of the legend"),
    ("r", "back to the first view"),
    ("l", "labels on or off"),
    ("space", "hold the picture, go on"),
    ("s", "write a screenshot here"),
    ("?", "this list"),
    ("q, Esc", "close"),
)


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
    from rendercanvas.glfw import RenderCanvas, loop

    if not glfw.init():
        raise GraphicsError("the display does not answer; check DISPLAY, or use glassbox snap to write a picture")
    return RenderCanvas(size=size, title=title, update_mode="ondemand", max_fps=60), loop


class Window:
    """One open window on a source."""

    def __init__(self, source: Source, size: tuple[int, int], camera: Camera | None, order: int | None) -> None:
        self.source = source
        self.name = source.title.partition(" · ")[0]
        self.scene = Scene(request_device(), len(source.ram.view), order)
        self.scene.set_page_map(read_page_map(source))
        self.canvas, self.loop = _new_canvas(f"Glass Box - {self.name}", size)
        self._context = self.canvas.get_wgpu_context()
        self._context.configure(device=self.scene.device, format=_FORMAT)
        self.renderer = Renderer(self.scene, _FORMAT)
        self._home = camera or choose_camera(self.renderer)
        self._goal = self._camera = self._home
        self._pace = FramePace()
        self._frames = 0
        self._last_frame = self._last_motion = self._last_title = time.monotonic()
        self._frame_times: list[float] = []
        self._overlay_key: object = None
        self._labels_on = True
        self._unsettled = 0
        self._is_throttled = False
        self._drag: tuple[float, float] | None = None
        self._pressed: tuple[float, float] = (0.0, 0.0)
        self._cursor: tuple[int, int] | None = None
        self._spot: Spot | None = None
        self._is_pinned = False
        self._spot_key: object = None
        self._box_place = (0, 0)
        self._stop_after: int | None = None
        self._screenshot_at_end: Path | None = None
        self.feed = Feed(source, self._wake)
        self.canvas.add_event_handler(self._on_pointer, "pointer_down", "pointer_move", "pointer_up", "pointer_leave")
        self.canvas.add_event_handler(self._on_wheel, "wheel")
        self.canvas.add_event_handler(self._on_key, "key_down")
        self.canvas.add_event_handler(self._on_resize, "resize")

    def run(self, frames: int | None, after_s: float | None, screenshot: Path | None) -> None:
        """Show the window until it is closed, `frames` were drawn or `after_s` seconds went by."""
        self._stop_after = frames
        if after_s is not None:
            self.loop.call_later(after_s, self._finish)
        self._screenshot_at_end = screenshot
        self.canvas.request_draw(self._draw)
        self.feed.start()
        try:
            self.loop.run()
        finally:
            self.feed.stop()

    # --- drawing ---------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        try:
            self.loop.call_soon_threadsafe(self._on_news)
        except RuntimeError:
            log.debug("news after the window was closed")

    def _draw(self) -> None:
        now = time.monotonic()
        elapsed, self._last_frame = min(now - self._last_frame, 0.1), now
        if self._take_news():
            self._unsettled = PASSES
        if self._move(elapsed):
            self._last_motion = now
            self._pace.add(self.renderer.stopwatch.take_s() or elapsed)
        # A large backlog is drawn like a motion: quickly, and refined when it is done.
        is_resting = now - self._last_motion > REST_S and self.feed.backlog() < PAGES_PER_FRAME
        size = self.canvas.get_physical_size()
        self.renderer.shift = legend_shift(*size)
        self._update_overlay(size, is_resting)
        if not is_resting:
            self.renderer.restart()
            self.renderer.draw_pass(self._camera, self._pace.size(*size), soft=False)
        elif self.renderer.passes < PASSES or self._unsettled:
            self.renderer.draw_pass(self._camera, size, newest=1 / 8 if self._unsettled else 0)
            self._unsettled = max(self._unsettled - 1, 0)
        self._update_spot(size, is_resting)
        self.renderer.present(self._context.get_current_texture().create_view(), size)
        self._after_frame(elapsed, is_resting)

    def _take_news(self) -> bool:
        # Pages first, then the table over them: a page is never shown as something it was before.
        pages, written = self.feed.take(PAGES_PER_FRAME << PAGE_SHIFT)
        now = time.monotonic()
        shows = self.scene.update_pages(self.source.ram.view, pages, written, now)
        shows |= self.scene.advance(self.source.ram.view, now)
        page_map = self.feed.take_page_map()
        is_new_map = page_map is not None and self.scene.set_page_map(page_map)
        return is_new_map or shows

    def _move(self, elapsed: float) -> bool:
        before = self._camera
        self._camera = self._camera.approach(self._goal, elapsed)
        return self._camera != before

    def _update_overlay(self, size: tuple[int, int], is_resting: bool) -> None:
        # Words are drawn anew only when they change; labels stand only while the picture does.
        with_labels = self._labels_on and is_resting
        counts = tuple(self.scene.page_map.counts().items()) if self.scene.page_map else ()
        key = (size, self.scene.visible_mask, counts, self._camera if with_labels else None)
        if key == self._overlay_key:
            return
        self._overlay_key = key
        labels = find_labels(self.scene, self.renderer.pick_pages(self._camera, size)) if with_labels else []
        self.renderer.set_overlay(draw_overlay(size, self.scene, self.source.title, labels, with_keys=True))

    def _update_spot(self, size: tuple[int, int], is_resting: bool) -> None:
        # While anything moves nothing is asked: an answer would come a frame late and hold the next one up.
        spot = self._spot
        if self._is_pinned and spot is not None:
            spot = read_spot(self.scene, self.source.ram, spot.page, spot.offset)
        elif self._cursor is None or self._drag is not None:
            spot = None
        elif is_resting:
            spot = find_spot(self.renderer, self.source.ram, self._camera, size, self._cursor)
        self._show_spot(spot, size)

    def _show_spot(self, spot: Spot | None, size: tuple[int, int]) -> None:
        key = (spot, self._cursor if not self._is_pinned else None, self._is_pinned, size)
        if key == self._spot_key:
            return
        self._spot_key, self._spot = key, spot
        if spot is None:
            self.renderer.set_box(None)
            return
        box = draw_spot(spot, size[1], self._is_pinned)
        if not self._is_pinned and self._cursor is not None:
            self._box_place = self._cursor
        self.renderer.set_box(box, place_box(self._box_place, (box.shape[1], box.shape[0]), size))

    def _after_frame(self, elapsed: float, is_resting: bool) -> None:
        self._frames += 1
        self._frame_times = [*self._frame_times[-29:], elapsed]
        is_refining = not is_resting or self.renderer.passes < PASSES
        is_unfinished = is_refining or self._unsettled > 0 or self.feed.backlog() > 0
        is_unfinished |= not self.scene.is_settled
        if self._last_frame - self._last_title > 0.5 or not is_unfinished:
            self._last_title = self._last_frame
            self._set_title(is_idle=not is_unfinished)
        if self._stop_after is not None and self._frames >= self._stop_after:
            self.loop.call_soon(self._finish)
        elif is_refining or self._stop_after is not None:
            self.canvas.request_draw()
        elif is_unfinished:
            self._draw_soon()

    def _on_news(self) -> None:
        if not self._is_throttled:
            self.canvas.request_draw()

    def _draw_soon(self) -> None:
        # Only the guest moves: leave it two thirds of the time, for its processors and a software driver's
        # renderer are the same.
        self.scene.pool.wait()
        self._is_throttled = True
        cost = time.monotonic() - self._last_frame
        self.loop.call_later(min(2 * cost, 0.5), self._end_throttle)

    def _end_throttle(self) -> None:
        self._is_throttled = False
        if not self.canvas.get_closed():
            self.canvas.request_draw()

    def _set_title(self, is_idle: bool) -> None:
        rate = len(self._frame_times) / max(sum(self._frame_times), 1e-6)
        state = "machine ended" if self.feed.error else "at rest" if is_idle else f"{rate:.0f} fps"
        backlog = self.feed.backlog()
        waiting = f", {backlog} pages to go" if backlog > PAGES_PER_FRAME else ""
        self.canvas.set_title(f"Glass Box - {self.name} - {state}{waiting}")

    def save_screenshot(self, path: Path) -> None:
        """Write what the window shows to `path` as PNG."""
        if self.renderer.passes == 0:
            self.renderer.draw_pass(self._camera, self.canvas.get_physical_size())
        size = self.canvas.get_physical_size()
        usage = wgpu.TextureUsage.RENDER_ATTACHMENT | wgpu.TextureUsage.COPY_SRC
        target = self.scene.device.create_texture(size=(*size, 1), format=_FORMAT, usage=usage)
        self.renderer.present(target.create_view(), size)
        blue_first = read_texture(self.scene.device, target, RGBA)
        write_picture(np.ascontiguousarray(blue_first[..., 2::-1]), path)
        log.info("wrote %s; the view is --camera %s", path, format_camera(self._camera))

    def _finish(self) -> None:
        if self.canvas.get_closed():
            return
        if self._screenshot_at_end is not None:
            self.save_screenshot(self._screenshot_at_end)
        self.canvas.close()

    # --- the user --------------------------------------------------------------------------------------------

    def _on_pointer(self, event: dict[str, Any]) -> None:
        kind = event["event_type"]
        if kind == "pointer_leave":
            self._point_at(None)
            return
        here = (float(event["x"]), float(event["y"]))
        if kind == "pointer_down":
            self._drag = self._pressed = here
        elif kind == "pointer_up":
            self._drag = None
            if max(abs(here[0] - self._pressed[0]), abs(here[1] - self._pressed[1])) < CLICK_PIXELS:
                self._click(here)
        elif self._drag is None or not event["buttons"]:
            self._point_at(here)
        else:
            dx, dy = here[0] - self._drag[0], here[1] - self._drag[1]
            self._drag = here
            height = max(self.canvas.get_logical_size()[1], 1)
            if 1 in event["buttons"] and "Shift" not in event["modifiers"]:
                self._aim(self._goal.orbit(-270 * dx / height, 270 * dy / height))
            else:
                self._aim(self._goal.pan(-dx / height, dy / height))

    def _point_at(self, here: tuple[float, float] | None) -> None:
        ratio = self.canvas.get_pixel_ratio()
        self._cursor = None if here is None else (int(here[0] * ratio), int(here[1] * ratio))
        self.canvas.request_draw()

    def _click(self, here: tuple[float, float]) -> None:
        self._point_at(here)
        size = self.canvas.get_physical_size()
        assert self._cursor is not None
        spot = find_spot(self.renderer, self.source.ram, self._camera, size, self._cursor)
        self._is_pinned, self._box_place = spot is not None, self._cursor
        self._show_spot(spot, size)
        if spot is not None:
            log.info("%s", "; ".join(spot_lines(spot)))

    def _on_wheel(self, event: dict[str, Any]) -> None:
        self._aim(self._goal.zoom(-float(event["dy"]) / 100))

    def _on_resize(self, _event: dict[str, Any]) -> None:
        self.renderer.restart()
        self.canvas.request_draw()

    def _on_key(self, event: dict[str, Any]) -> None:
        key = str(event["key"])
        shown = legend_classes(self.scene)
        if key in ("q", "Escape"):
            self.canvas.close()
        elif key == "r":
            self._aim(self._home)
        elif key == "l":
            self._labels_on = not self._labels_on
        elif key == " ":
            log.info("held" if self.feed.toggle_pause() else "going on")
        elif key == "s":
            self.save_screenshot(Path(time.strftime(f"glassbox-{self.name}-%Y%m%d-%H%M%S.png")))
        elif key == "?":
            log.info("keys: %s", "; ".join(f"{keys}: {effect}" for keys, effect in KEYS))
            self.canvas.set_title("; ".join(f"{keys}: {effect}" for keys, effect in KEYS))
        elif key.isdigit() and 1 <= int(key) <= len(shown):
            self._toggle(shown[int(key) - 1])
        self.canvas.request_draw()

    def _toggle(self, page_class: PageClass) -> None:
        self.scene.toggle([page_class])
        self.renderer.restart()

    def _aim(self, goal: Camera) -> None:
        self._goal = goal
        self.canvas.request_draw()


def open_window(
    source: Source,
    *,
    frames: int | None = None,
    screenshot: Path | None = None,
    after_s: float | None = None,
    size: tuple[int, int] = (1280, 720),
    camera: Camera | None = None,
    order: int | None = None,
) -> None:
    """Show `source` in a window until the user closes it.

    `frames` and `after_s` (seconds) close it by themselves, and then `screenshot` gets what it last showed.
    Raises `GraphicsError` without a display or adapter, and what `source` raises if its machine is gone already.
    """
    window = Window(source, size, camera, order)
    window.run(frames, after_s, screenshot)
