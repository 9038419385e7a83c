"""The orbit camera: where the eye is, as a few numbers that fit a command line.

Lengths are in edges of the Hilbert cube, so ``target=0.5:0.5:0.5`` is its middle whatever the size of
RAM. Yaw turns about the vertical y axis, pitch lifts the eye, both in degrees.

>>> parse_camera("yaw=35,pitch=25,distance=1.8", Camera())
Camera(yaw=35.0, pitch=25.0, distance=1.8, target=(0.5, 0.5, 0.5))
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from qemu_bridge.wire.view_text import CAMERA_PARTS, FARTHEST_TARGET, MAX_DISTANCE, MAX_PITCH, MIN_DISTANCE, read_parts

FIELD_OF_VIEW = 30.0
"""Vertical, in degrees: a long lens, so that parallel bricks look parallel."""
_DAMPING_RATE_HZ = 14.0
_FILLED = 0.86
"""Share of a picture that what is framed fills."""
_CORNERS = np.array([[n & 1, n >> 1 & 1, n >> 2] for n in range(8)], np.float64)


@dataclass(frozen=True, slots=True)
class Camera:
    """An eye that orbits `target` at `distance`."""

    yaw: float = 35.0
    pitch: float = 24.0
    distance: float = 3.2
    target: tuple[float, float, float] = (0.5, 0.5, 0.5)

    def axes(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Unit vectors right, up and forward (from the eye into the picture)."""
        yaw, pitch = math.radians(self.yaw), math.radians(self.pitch)
        forward = -np.array([math.sin(yaw) * math.cos(pitch), math.sin(pitch), math.cos(yaw) * math.cos(pitch)])
        right = np.array([math.cos(yaw), 0.0, -math.sin(yaw)])
        return right, np.cross(right, forward), forward

    def eye(self) -> npt.NDArray[np.float64]:
        """The eye's place."""
        return np.asarray(self.target) - self.axes()[2] * self.distance

    def orbit(self, yaw: float, pitch: float) -> Camera:
        """Turned by degrees; the pitch stops short of the poles, where up would flip."""
        return replace(self, yaw=self.yaw + yaw, pitch=min(max(self.pitch + pitch, -MAX_PITCH), MAX_PITCH))

    def pan(self, right: float, up: float) -> Camera:
        """The target moved in the picture plane, in picture heights."""
        height = 2 * self.distance * math.tan(math.radians(FIELD_OF_VIEW / 2))
        axes = self.axes()
        return self.aimed_at(np.asarray(self.target) + (axes[0] * right + axes[1] * up) * height)

    def walk(self, right: float, up: float, forward: float) -> Camera:
        """Eye and target moved along the eye's own axes, in edges of the cube."""
        axes = self.axes()
        return self.aimed_at(np.asarray(self.target) + axes[0] * right + axes[1] * up + axes[2] * forward)

    def look(self, yaw: float, pitch: float) -> Camera:
        """The head turned by degrees: the eye stays where it is."""
        turned = self.orbit(yaw, pitch)
        return turned.aimed_at(self.eye() + turned.axes()[2] * self.distance)

    def with_distance(self, distance: float) -> Camera:
        """The same eye and picture, with the target at `distance` before it."""
        return replace(self, distance=distance).aimed_at(self.eye() + self.axes()[2] * distance)

    def aimed_at(self, target: npt.NDArray[np.float64]) -> Camera:
        """The same view of another place; a target far outside the cube is brought nearer."""
        x, y, z = np.clip(target, 0.5 - FARTHEST_TARGET, 0.5 + FARTHEST_TARGET).tolist()
        return replace(self, target=(x, y, z))

    def framing(self, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64], aspect: float = 1.6) -> Camera:
        """The same orientation, with the box from `low` to `high` filling a picture of this width / height."""
        tangent = _FILLED * math.tan(math.radians(FIELD_OF_VIEW / 2))
        offsets = (low + _CORNERS * (high - low) - (low + high) / 2) @ np.stack(self.axes()).T
        across, up, beyond = np.abs(offsets[:, 0]), np.abs(offsets[:, 1]), offsets[:, 2]
        needed = float(np.max(np.maximum(across / (tangent * aspect), up / tangent) - beyond))
        distance = min(max(needed, MIN_DISTANCE), MAX_DISTANCE)
        return replace(self, distance=distance).aimed_at((low + high) / 2)

    def at(self, x: float, y: float, aspect: float) -> npt.NDArray[np.float64]:
        """The place in the target's plane that appears at (x, y), each -1 to 1, of a picture of this width / height."""
        tangent = math.tan(math.radians(FIELD_OF_VIEW / 2))
        right, up, _ = self.axes()
        return np.asarray(np.asarray(self.target) + (right * x * aspect + up * y) * tangent * self.distance)

    def zoom(self, steps: float) -> Camera:
        """Nearer by `steps` notches of a wheel, a tenth each."""
        return replace(self, distance=min(max(self.distance * 0.9**steps, MIN_DISTANCE), MAX_DISTANCE))

    def zoom_at(self, steps: float, place: npt.NDArray[np.float64]) -> Camera:
        """Nearer by `steps` notches to `place`, which stays where it appears."""
        nearer = self.zoom(steps)
        return nearer.aimed_at(place + (np.asarray(self.target) - place) * (nearer.distance / self.distance))

    def approach(self, goal: Camera, seconds: float) -> Camera:
        """On the way to `goal`: damped, the same whatever the frame rate; `goal` itself once it is next to it."""
        share = 1 - math.exp(-_DAMPING_RATE_HZ * seconds)
        mine, other = self._values(), goal._values()
        if np.allclose(mine, other, atol=2e-4, rtol=1e-4):
            return goal
        yaw, pitch, distance, *target = (mine + (other - mine) * share).tolist()
        return Camera(yaw, pitch, distance, (target[0], target[1], target[2]))

    def _values(self) -> npt.NDArray[np.float64]:
        return np.array([self.yaw, self.pitch, self.distance, *self.target])

    def project(self, places: npt.NDArray[np.float64], aspect: float) -> npt.NDArray[np.float64]:
        """Where `places`, of shape (n, 3), appear in a picture of this width / height: rows of (x, y, depth).

        x and y go from -1 to 1, y up; `depth` is the distance before the eye, negative behind it.
        """
        tangent = math.tan(math.radians(FIELD_OF_VIEW / 2))
        x, y, depth = ((places - self.eye()) @ np.stack(self.axes()).T).T
        safe = np.where(np.abs(depth) < 1e-9, 1e-9, depth)
        return np.stack([x / (safe * tangent * aspect), y / (safe * tangent), depth], axis=-1)

    def sees(
        self, places: npt.NDArray[np.float64], radius: float, aspect: float, shift: tuple[float, float] = (0.0, 0.0)
    ) -> npt.NDArray[np.bool_]:
        """Whether a ball of `radius` about each of `places`, of shape (n, 3), reaches into a picture of this width / height.

        `shift` is the lens shift in half pictures. A ball just beyond an edge may count, too.
        """
        tangent = math.tan(math.radians(FIELD_OF_VIEW / 2))
        x, y, depth = ((places - self.eye()) @ np.stack(self.axes()).T).T
        seen: npt.NDArray[np.bool_] = depth > -radius
        for across, slope in ((x, tangent * aspect * (1 + abs(shift[0]))), (y, tangent * (1 + abs(shift[1])))):
            seen &= np.abs(across) <= slope * depth + radius * math.hypot(1, slope)
        return seen

    def quaternion(self) -> npt.NDArray[np.float64]:
        """The orientation as (w, x, y, z): pitch about x, then yaw about y."""
        yaw, pitch = math.radians(self.yaw) / 2, -math.radians(self.pitch) / 2
        cy, sy, cp, sp = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
        return np.array([cy * cp, cy * sp, sy * cp, -sy * sp])


def blend(start: Camera, goal: Camera, share: float) -> Camera:
    """The view a `share` (0 to 1) of the way: target linear, orientation by slerp, distance exponential.

    `start` and `goal` themselves at the ends. Roll, which a slerp may bring in between, is left out: up stays up.
    Source: K. Shoemake, "Animating rotation with quaternion curves" (1985).
    """
    if share <= 0 or share >= 1:
        return start if share <= 0 else goal
    one, other = start.quaternion(), goal.quaternion()
    cosine = float(one @ other)
    other, cosine = (-other, -cosine) if cosine < 0 else (other, cosine)
    angle = math.acos(min(cosine, 1.0))
    near = angle < 1e-6
    a, b = (1 - share, share) if near else (math.sin((1 - share) * angle), math.sin(share * angle))
    w, x, y, z = ((a * one + b * other) / (1 if near else math.sin(angle))).tolist()
    # The quaternion turns the vector from target to eye, (0, 0, 1).
    back = (2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y))
    pitch = math.degrees(math.asin(min(max(back[1], -1.0), 1.0)))
    yaw = math.degrees(math.atan2(back[0], back[2]))
    distance = start.distance ** (1 - share) * goal.distance**share
    target = np.asarray(start.target) * (1 - share) + np.asarray(goal.target) * share
    pitch = min(max(pitch, -MAX_PITCH), MAX_PITCH)
    return Camera(yaw, pitch, distance).aimed_at(target)


@dataclass(frozen=True, slots=True)
class Flight:
    """A smooth way from one view to another that takes `seconds` and arrives exactly."""

    start: Camera
    goal: Camera
    seconds: float

    def at(self, elapsed_s: float) -> Camera:
        """Where the flight is: slow at both ends; `goal` itself from its end on."""
        share = min(max(elapsed_s / self.seconds, 0.0), 1.0) if self.seconds > 0 else 1.0
        return blend(self.start, self.goal, share * share * (3 - 2 * share))


def fly(start: Camera, goal: Camera) -> Flight:
    """A flight whose time, 0.35 to 1.2 s, grows with how far it goes, turns and zooms."""
    far = float(np.linalg.norm(np.asarray(start.target) - goal.target)) / max(min(start.distance, goal.distance), 0.1)
    turn = 2 * math.acos(min(abs(float(start.quaternion() @ goal.quaternion())), 1.0))
    zoom = abs(math.log(start.distance / goal.distance))
    return Flight(start, goal, min(0.35 + 0.2 * far + 0.2 * turn + 0.15 * zoom, 1.2))


def default_camera(extent: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Camera:
    """A view from above a corner that shows three faces of a box of `extent` and fills the picture."""
    size = math.sqrt(sum(edge * edge for edge in extent) / 3)
    return Camera(distance=Camera().distance * size, target=(extent[0] / 2, extent[1] / 2, extent[2] / 2))


def format_camera(camera: Camera) -> str:
    """The text that `parse_camera` reads back."""
    target = ":".join(f"{value:.6g}" for value in camera.target)
    return f"yaw={camera.yaw:.6g},pitch={camera.pitch:.6g},distance={camera.distance:.6g},target={target}"


def parse_camera(text: str, start: Camera) -> Camera:
    """The camera in `text`, ``name=number`` pairs with commas; what is not named is as in `start`.

    Raises `UsageError` for an unknown name, a number that is none or not finite, or one outside its range.
    """
    return replace(start, **read_parts(text, CAMERA_PARTS))
