"""The camera controller: what drags, the wheel and held keys do to the camera, in each of three modes.

Orbit turns about the target, fly turns the head and walks, top looks straight down and
moves over a map. All are damped, follow the clock rather than the frame rate, and can be undone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from qemu_bridge.wire.view_text import MAX_PITCH

from ..view.camera import Camera, Flight, fly
from ..view.views import Mode, View, ViewHistory

TURN_DEGREES = 270.0
"""Of a drag over one picture height."""
_FLY_DISTANCE = 0.4
_WALK_SPEED, _LEAST_SPEED = 1.2, 0.12
WALKS = {
    "forward": (0, 0, 1),
    "back": (0, 0, -1),
    "left": (-1, 0, 0),
    "right": (1, 0, 0),
    "up": (0, 1, 0),
    "down": (0, -1, 0),
}
"""Ways to walk while flying, each along (right, up, forward)."""
_ARROWS = {"ArrowLeft": (-1, 0), "ArrowRight": (1, 0), "ArrowUp": (0, 1), "ArrowDown": (0, -1)}
_ARROW_DEGREES_S = 90.0


class CameraController:
    """The camera, and where it is moving.

    Attributes:
        camera: now.
        goal: where damping or a flight leads.
        mode: what a drag does.
        history: views to go back to.
    """

    def __init__(self, home: Camera, mode: Mode = Mode.ORBIT) -> None:
        self.camera = self.goal = self.home = home
        self.mode = mode
        self.history = ViewHistory()
        self._flight: Flight | None = None
        self._flown_s = 0.0
        self._held: set[str] = set()

    @property
    def is_moving(self) -> bool:
        """Whether the next update will move it."""
        return self.camera != self.goal or self._flight is not None or bool(self._held)

    def update(self, elapsed_s: float) -> bool:
        """Move on by `elapsed_s`; return whether that changed the view."""
        before = self.camera
        if self._flight is not None:
            self._flown_s += elapsed_s
            self.camera = self._flight.at(self._flown_s)
            if self._flown_s >= self._flight.seconds:
                self._flight = None
            return self.camera != before
        self._walk(elapsed_s)
        self.camera = self.camera.approach(self.goal, elapsed_s)
        return self.camera != before

    def aim(self, goal: Camera) -> None:
        """Go to `goal` with damping; a flight ends where it is."""
        self._end_flight()
        self.goal = goal

    def fly_to(self, goal: Camera) -> None:
        """Go to `goal` on a smooth flight that arrives exactly."""
        self._end_flight()
        if goal != self.camera:
            self._flight, self._flown_s = fly(self.camera, goal), 0.0
        self.goal = goal

    def settle(self) -> None:
        """Be where it is moving, at once."""
        self._flight, self.camera = None, self.goal

    def _end_flight(self) -> None:
        if self._flight is not None:
            self._flight, self.goal = None, self.camera

    def drag(self, right: float, down: float, is_pan: bool) -> None:
        """The pointer was dragged, in picture heights."""
        self._end_flight()
        goal = self.goal
        if is_pan or self.mode == Mode.TOP:
            self.aim(goal.pan(-right, down))
        elif self.mode == Mode.FLY:
            # The picture follows the pointer, so the head turns the other way and as far as that takes.
            self.aim(goal.look(TURN_DEGREES / 4 * right, -TURN_DEGREES / 4 * down))
        else:
            self.aim(goal.orbit(-TURN_DEGREES * right, TURN_DEGREES * down))

    def wheel(self, steps: float, place: npt.NDArray[np.float64] | None = None) -> None:
        """The wheel was turned towards the picture by notches, over `place` of the cube, which stays where it appears."""
        self._end_flight()
        if self.mode == Mode.FLY:
            self.aim(self.goal.walk(0, 0, 0.15 * steps * max(self.goal.distance, _LEAST_SPEED)))
        else:
            self.aim(self.goal.zoom(steps) if place is None else self.goal.zoom_at(steps, place))

    def hold(self, move: str, is_down: bool) -> bool:
        """A key for `move`, an arrow or one of `WALKS`, went down or up; return whether it moves the camera while it is held."""
        is_ours = move in _ARROWS or (self.mode == Mode.FLY and move in WALKS)
        if not is_down:
            self._held.discard(move)
        elif is_ours:
            self._end_flight()
            self._held.add(move)
        return is_ours

    def release_keys(self) -> None:
        """Forget held keys: the keyboard focus went elsewhere."""
        self._held.clear()

    def _walk(self, elapsed_s: float) -> None:
        for key in self._held:
            if key in _ARROWS:
                x, y = _ARROWS[key]
                step = elapsed_s * _ARROW_DEGREES_S
                if self.mode == Mode.TOP:
                    self.goal = self.goal.pan(x * elapsed_s, y * elapsed_s)
                elif self.mode == Mode.FLY:
                    self.goal = self.goal.look(-x * step / 2, -y * step / 2)
                else:
                    self.goal = self.goal.orbit(x * step, y * step)
            elif self.mode == Mode.FLY:
                speed = elapsed_s * _WALK_SPEED * max(self.goal.distance, _LEAST_SPEED)
                right, up, forward = WALKS[key]
                self.goal = self.goal.walk(right * speed, up * speed, forward * speed)

    def set_mode(self, mode: Mode) -> None:
        """Change the mode; the picture stays, but for top, which looks down on all."""
        self.mode = mode
        if mode == Mode.FLY:
            # A near target: the head turns about the eye, and speed goes with the distance.
            self.aim(self.goal)
            self.camera = self.camera.with_distance(min(self.camera.distance, _FLY_DISTANCE))
            self.goal = self.goal.with_distance(min(self.goal.distance, _FLY_DISTANCE))
        elif mode == Mode.TOP:
            self.fly_to(replace(self.home, pitch=MAX_PITCH, yaw=round(self.goal.yaw / 90) * 90.0))

    def mark(self, view: View, kind: str, now_s: float) -> None:
        """Remember `view` before a move of `kind`."""
        self.history.mark(view, kind, now_s)
