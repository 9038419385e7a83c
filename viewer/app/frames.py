"""The frame loop: what one frame of a window does, and whether there is another.

While something moves frames are drawn at a resolution that holds the frame rate, one pass each; at rest the picture is
refined pass by pass at full resolution, and then nothing is drawn, and no time spent, until the guest's memory, the page
map or the user changes something. Of what the guest changes only the tiles are drawn that show it (`viewer.view.tiles`), and
less and less often while nobody looks on (`viewer.app.cadence`).
"""

from __future__ import annotations

import time

import numpy as np

from ..picture.legend import find_labels
from ..render.raymarch import PASSES
from ..sources.heat import Pages
from ..view.curve import to_xyz
from ..view.tiles import Tiles
from .desk import Desk
from .gui import Gui
from .panels import Layout
from .schedule import FramePace, Schedule
from .screenshot import Screenshots
from .session import PAGES_PER_FRAME, Session
from .spot import Spot, find_spot
from .surface import Surface

REST_S = 0.25
LEAST_PIXELS = 16


class FrameLoop:
    """Draws a desk on a surface.

    Attributes:
        count: frames drawn.
        stop_after: so many frames are drawn, one right after the other; None for no end.
    """

    def __init__(
        self, desk: Desk, surface: Surface, gui: Gui, session: Session, screenshots: Screenshots, schedule: Schedule
    ) -> None:
        self.count = 0
        self.stop_after: int | None = None
        self._desk, self._surface, self._gui = desk, surface, gui
        self._session, self._screenshots, self._schedule = session, screenshots, schedule
        self._pace = FramePace()
        self._last_frame = self._last_motion = time.monotonic()
        self._frame_times: list[float] = []
        self._picture_key: object = None
        self._labels_key: object = None
        self._tiles = Tiles()
        self._title = ""

    def renew(self) -> None:
        """The scene is another one, or on another device."""
        self._surface.attach(self._desk.scene)
        self._picture_key = self._labels_key = None

    def draw(self) -> None:
        """Draw one frame and ask for the next, now or later, as it is wanted; `wgpu.GPUError` for a lost device."""
        size, desk = self._surface.size, self._desk
        if min(size) < LEAST_PIXELS:
            return  # resized to nothing: there is nobody to draw for
        now = time.monotonic()
        waited, self._last_frame = now - self._last_frame, now
        elapsed = min(waited, 0.1)
        self._session.take_answers()
        self._mark(self._session.take_news())
        layout = self._gui.layout()
        desk.aspect = size[0] / size[1]
        desk.free_aspect = layout.middle_width / max(layout.body_height, 1.0)
        if desk.eye.update(elapsed):
            self._last_motion = now
            self._pace.add(self._surface.renderer.stopwatch.take_s() or elapsed)
        # A large backlog is drawn like a motion: quickly, and refined when it is done.
        is_resting = now - self._last_motion > REST_S and desk.feed.backlog() < PAGES_PER_FRAME
        self._draw_picture(size, layout, is_resting, waited)
        self._update_hover(is_resting)
        self._update_labels(size, layout, is_resting)
        self._surface.present(size)
        self._gui.render()
        self._plan_next(elapsed, is_resting)

    def pick(self, cursor: tuple[int, int]) -> Spot | None:
        """What shows at `cursor`, in physical pixels."""
        surface, desk = self._surface, self._desk
        return find_spot(surface.renderer, desk.source.ram, desk.eye.camera, surface.size, cursor)

    def _mark(self, stale: Pages | None) -> None:
        # What changed fades over to its new state in as many passes as a picture has.
        scene = self._desk.scene
        if stale is None:
            self._tiles.mark_all(PASSES)
        elif len(stale):
            places = to_xyz(stale.astype(np.uint64), scene.page_order) / scene.edge
            self._tiles.mark(places, 1 / scene.edge, self._desk.eye.camera, self._surface.renderer.shift, PASSES)

    def _draw_picture(self, size: tuple[int, int], layout: Layout, is_resting: bool, waited_s: float) -> None:
        desk, renderer = self._desk, self._surface.renderer
        key = (size, layout.shift, desk.scene.look, desk.glow and id(desk.glow))
        if key != self._picture_key:
            self._picture_key = key
            renderer.shift = layout.shift
            renderer.restart()
            self._tiles.clear(size)
        if not is_resting:
            renderer.restart()
            self._tiles.clear(size)
            desk.drawn_size = self._pace.size(*size)
            renderer.draw_pass(desk.eye.camera, desk.drawn_size, soft=False)
        elif self._schedule.ui_frames > 1 and renderer.passes:
            return  # the user is at the panels: they come first, refining can wait
        elif renderer.passes < PASSES or not self._tiles.is_done:
            newest = 0.0 if self._tiles.is_done else self._schedule.cadence.share(waited_s)
            parts = self._tiles.take()
            if renderer.passes < PASSES:
                parts = None  # it is not done as a whole yet
            renderer.draw_pass(desk.eye.camera, size, newest=newest, parts=parts)
            desk.drawn_size = size

    def _update_hover(self, is_resting: bool) -> None:
        # While anything moves nothing is asked: an answer would come a frame late and hold the next one up.
        desk = self._desk
        if desk.cursor is None or desk.is_dragging:
            desk.hover = None
        elif is_resting:
            desk.hover = self.pick(desk.cursor)

    def _update_labels(self, size: tuple[int, int], layout: Layout, is_resting: bool) -> None:
        # Labels stand only while the picture does.
        desk, camera = self._desk, self._desk.eye.camera
        with_labels, with_map = desk.is_open("labels"), desk.is_open("minimap")
        wanted = (with_labels or with_map) and is_resting
        counts = tuple(desk.scene.page_map.counts().items()) if desk.scene.page_map else ()
        key = (size, layout, desk.scene.look, counts, camera, with_labels, with_map) if wanted else None
        if key == self._labels_key:
            return
        self._labels_key, self._gui.labels = key, []
        if wanted:
            picked = self._surface.renderer.pick_pages(camera, size)
            ratio = self._surface.pixel_ratio
            picked[:, round((layout.width - layout.right - 20) * ratio) :] = -1
            picked[:, : round((layout.left + 20) * ratio)] = -1
            desk.in_view = np.unique(picked[picked >= 0]).astype(np.int64)
            self._gui.labels = find_labels(desk.scene, picked) if with_labels else []

    def _plan_next(self, elapsed: float, is_resting: bool) -> None:
        desk, schedule = self._desk, self._schedule
        self.count += 1
        self._frame_times = [*self._frame_times[-29:], elapsed]
        desk.frames_per_s = len(self._frame_times) / max(sum(self._frame_times), 1e-6)
        is_refining = not is_resting or self._surface.renderer.passes < PASSES or desk.eye.is_moving
        is_refining = is_refining or self._screenshots.step()
        is_unfinished = is_refining or not self._tiles.is_done or desk.feed.backlog() > 0 or not desk.scene.is_settled
        if desk.is_idle == is_unfinished:
            desk.is_idle = not is_unfinished
            schedule.ui_frames = max(schedule.ui_frames, 1)
        self._set_title()
        if self.stop_after is not None and self.count >= self.stop_after:
            return
        if is_refining or self.stop_after is not None or schedule.ui_frames > 0:
            schedule.go_on()
        elif is_unfinished and desk.feed.is_still and desk.scene.is_settled:
            schedule.go_on()  # there is no guest to leave the processors to, and it comes to an end
        elif is_unfinished:
            if desk.scene.is_settled:
                schedule.cadence.hurry()  # what is left to draw comes to an end
            desk.scene.pool.wait()
            schedule.draw_later(schedule.cadence.pause_s(time.monotonic() - self._last_frame))
        elif desk.news(time.monotonic()):
            schedule.draw_later(1.0)

    def _set_title(self) -> None:
        desk = self._desk
        state = "machine gone" if desk.feed.error else "at rest" if desk.is_idle else "live"
        title = f"Glass Box - {desk.name} - {state}"
        if title != self._title:
            self._title = title
            self._surface.canvas.set_title(title)
