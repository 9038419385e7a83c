"""The frame loop: what one frame of a window does, and whether there is another.

While something moves frames are drawn at a resolution that holds the frame rate, one pass each; at rest the picture is
refined pass by pass at full resolution, and then nothing is drawn, and no time spent, until the guest's memory, the page
map or the user changes something. Of what the guest changes only the tiles are drawn that show it (`viewer.view.tiles`), and
less and less often while there is no input (`viewer.app.refresh_policy`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..picture.legend import count_pages, find_all_labels
from ..render.equal_pages import EqualPages
from ..render.raymarch import PASSES
from ..sources.flows import FlowWatch
from ..sources.heat import Pages
from ..view.curve import to_xyz
from ..view.tiles import Tiles
from . import navigation
from .gui import Gui
from .panels.layout import Layout
from .pick import PickResult, pick_at
from .resolution_scaler import ResolutionScaler
from .schedule import Schedule
from .screenshot import Screenshots
from .session import PAGES_PER_FRAME, Session
from .state import ViewerState
from .surface import Surface

REST_S = 0.25
LEAST_PIXELS = 16
_FADE_STEP_S = 0.1


class FrameLoop:
    """Draws the frames of a window.

    Attributes:
        count: frames drawn.
        stop_after: so many frames are drawn, one right after the other; None for no end.
    """

    def __init__(
        self,
        state: ViewerState,
        surface: Surface,
        gui: Gui,
        sessions: Sequence[Session],
        screenshots: Screenshots,
        schedule: Schedule,
        flows: FlowWatch,
    ) -> None:
        self.count = 0
        self.stop_after: int | None = None
        self._state, self._surface, self._gui = state, surface, gui
        self._sessions, self._screenshots, self._schedule, self._flows = sessions, screenshots, schedule, flows
        self._scaler = ResolutionScaler()
        self._last_frame = self._last_motion = time.monotonic()
        self._frame_times: list[float] = []
        self._picture_key: object = None
        self._labels_key: object = None
        self._tiles = Tiles()
        self._equal, self._is_comparing = EqualPages(), False
        self._title = ""

    def reset(self) -> None:
        """Draw another scene, or the same on another device, from here on."""
        self._surface.attach(*self._state.scenes)
        self._picture_key = self._labels_key = None

    def draw(self) -> None:
        """Draw one frame and ask for the next, now or later, as it is wanted; `wgpu.GPUError` for a lost device."""
        size, state = self._surface.size, self._state
        if min(size) < LEAST_PIXELS:
            return  # resized to nothing
        now = time.monotonic()
        waited, self._last_frame = now - self._last_frame, now
        elapsed = min(waited, 0.1)
        for session in self._sessions:
            session.apply_results()
        changes = [session.apply_changes() for session in self._sessions]
        rams = [machine.source.ram.view for machine in state.machines]
        self._is_comparing = self._equal.update(state.scenes, rams, now)
        state.arcs = self._flows.arcs()
        self._mark(changes)
        layout = self._gui.layout()
        state.aspect = size[0] / size[1]
        navigation.fit_home(state, layout.free_aspect)
        if any(stale is None for stale in changes):
            navigation.follow_content(state)
        if state.controller.update(elapsed):
            self._last_motion = now
            self._scaler.add(self._surface.renderer.stopwatch.take_s() or elapsed)
        # A large backlog is drawn like a motion: quickly, and refined when it is done.
        is_resting = now - self._last_motion > REST_S and state.backlog < PAGES_PER_FRAME
        self._draw_picture(size, layout, is_resting, waited)
        self._update_hover(is_resting)
        self._update_labels(size, layout, is_resting)
        self._surface.present(size)
        self._gui.render()
        self._plan_next(elapsed, is_resting)

    def pick(self, cursor: tuple[int, int]) -> PickResult | None:
        """What shows at `cursor`, in physical pixels."""
        surface, state = self._surface, self._state
        rams = [machine.source.ram for machine in state.machines]
        picked = pick_at(surface.renderer, rams, state.controller.camera, surface.size, cursor)
        if picked is None or len(rams) == 1:
            return picked
        return replace(picked, name=state.machines[picked.machine].name)

    def _mark(self, changes: Sequence[Pages | None]) -> None:
        # What changed fades over to its new state in as many passes as a picture has.
        camera, shift = self._state.controller.camera, self._surface.renderer.shift
        for scene, stale in zip(self._state.scenes, changes, strict=True):
            if stale is None:
                self._tiles.mark_all(PASSES)
            elif len(stale):
                places = scene.to_units(to_xyz(stale.astype(np.uint64), scene.page_order).astype(np.float64))
                self._tiles.mark(places, 1 / scene.unit, camera, shift, PASSES)

    def _draw_picture(self, size: tuple[int, int], layout: Layout, is_resting: bool, waited_s: float) -> None:
        state, renderer = self._state, self._surface.renderer
        marks = [(machine.highlight and id(machine.highlight), machine.scene.is_ended) for machine in state.machines]
        key = (size, layout.shift, state.scene.look, marks)
        if key != self._picture_key:
            self._picture_key = key
            renderer.shift = layout.shift
            renderer.restart()
            self._tiles.clear(size)
        if not is_resting:
            renderer.restart()
            self._tiles.clear(size)
            state.drawn_size = self._scaler.size(*size)
            renderer.draw_pass(state.controller.camera, state.drawn_size, soft=False)
        elif renderer.passes and (self._schedule.ui_frames > 1 or self._screenshots.is_drawing):
            return  # the panels, which the user is at, and a screenshot come first: refining can wait
        elif renderer.passes < PASSES or not self._tiles.is_done:
            min_weight = 0.0 if self._tiles.is_done else self._schedule.refresh_policy.newest_weight(waited_s)
            parts = self._tiles.take()
            if renderer.passes < PASSES:
                parts = None  # it is not done as a whole yet
            renderer.draw_pass(state.controller.camera, size, min_weight=min_weight, parts=parts)
            state.drawn_size = size

    def _update_hover(self, is_resting: bool) -> None:
        # Not while anything moves: a pick would come a frame late and delay the next one.
        state = self._state
        if state.cursor is None or state.is_dragging:
            state.hover = None
        elif is_resting and not self._screenshots.is_drawing:
            state.hover = self.pick(state.cursor)

    def _update_labels(self, size: tuple[int, int], layout: Layout, is_resting: bool) -> None:
        # Labels stand only while the picture does.
        state, camera = self._state, self._state.controller.camera
        with_labels, with_map = state.is_open("labels"), state.is_open("minimap")
        wanted = (with_labels or with_map) and is_resting
        counts = tuple(count_pages(*state.scenes).items())
        learned = tuple(id(scene.page_style.learned) for scene in state.scenes)
        present = (size, layout, state.scene.look, counts, learned, camera, with_labels, with_map, state.active_number)
        key = present if wanted else None
        if key == self._labels_key:
            return
        self._labels_key, self._gui.labels = key, []
        if wanted:
            picks = self._surface.renderer.pick(camera, size)
            ratio = self._surface.pixel_ratio
            picks.pages[:, round((layout.width - layout.right - 20) * ratio) :] = -1
            picks.pages[:, : round((layout.left + 20) * ratio)] = -1
            in_view = picks.pages_of(state.active_number)
            state.in_view = np.unique(in_view[in_view >= 0]).astype(np.int64)
            self._gui.labels = find_all_labels(state.scenes, picks) if with_labels else []

    def _plan_next(self, elapsed: float, is_resting: bool) -> None:
        state, schedule = self._state, self._schedule
        self.count += 1
        self._frame_times = [*self._frame_times[-29:], elapsed]
        state.frames_per_s = len(self._frame_times) / max(sum(self._frame_times), 1e-6)
        is_refining = self._screenshots.step()
        is_refining |= not is_resting or self._surface.renderer.passes < PASSES or state.controller.is_moving
        is_settled = all(scene.is_settled for scene in state.scenes) and not self._is_comparing
        is_unfinished = is_refining or not self._tiles.is_done or state.backlog > 0 or not is_settled
        if state.is_idle == is_unfinished:
            state.is_idle = not is_unfinished
            schedule.ui_frames = max(schedule.ui_frames, 1)
        self._set_title()
        if self.stop_after is not None and self.count >= self.stop_after:
            return
        if is_refining or self.stop_after is not None or schedule.ui_frames > 0:
            schedule.go_on()
        elif is_unfinished and is_settled and all(machine.watcher.is_guest_paused for machine in state.machines):
            schedule.go_on()  # the guest needs no processor, and the drawing comes to an end
        elif is_unfinished:
            if is_settled:
                schedule.refresh_policy.reset()  # what is left to draw comes to an end
            state.scene.pool.wait()
            schedule.draw_later(schedule.refresh_policy.pause_s(time.monotonic() - self._last_frame))
        elif state.arcs:
            schedule.draw_later(_FADE_STEP_S)
        elif state.recent_messages(time.monotonic()):
            schedule.draw_later(1.0)

    def _set_title(self) -> None:
        state = self._state
        gone = [machine.name for machine in state.machines if machine.watcher.error]
        phase = "idle" if state.is_idle else "live"
        if gone:
            phase = "machine gone" if len(state.machines) == 1 else f"{', '.join(gone)} gone"
        title = f"Glass Box - {', '.join(state.names)} - {phase}"
        if title != self._title:
            self._title = title
            self._surface.canvas.set_title(title)
