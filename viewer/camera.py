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

from qemu_bridge.errors import UsageError

FIELD_OF_VIEW = 30.0
"""Vertical, in degrees: a long lens, so that parallel bricks look parallel."""
MAX_PITCH = 89.0
MIN_DISTANCE, MAX_DISTANCE = 0.02, 20.0
_DAMPING_RATE_HZ = 14.0


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
        moved = np.clip(np.asarray(self.target) + (axes[0] * right + axes[1] * up) * height, -1.0, 2.0)
        return replace(self, target=(float(moved[0]), float(moved[1]), float(moved[2])))

    def zoom(self, steps: float) -> Camera:
        """Nearer by `steps` notches of a wheel, a tenth each."""
        return replace(self, distance=min(max(self.distance * 0.9**steps, MIN_DISTANCE), MAX_DISTANCE))

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


def default_camera(extent: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Camera:
    """A view from above a corner that shows three faces of a box of `extent` and fills the picture."""
    size = math.sqrt(sum(edge * edge for edge in extent) / 3)
    return Camera(distance=Camera().distance * size, target=(extent[0] / 2, extent[1] / 2, extent[2] / 2))


def format_camera(camera: Camera) -> str:
    """The text that `parse_camera` reads back."""
    target = ":".join(f"{value:.4g}" for value in camera.target)
    return f"yaw={camera.yaw:.4g},pitch={camera.pitch:.4g},distance={camera.distance:.4g},target={target}"


def parse_camera(text: str, start: Camera) -> Camera:
    """The camera in `text`, ``name=number`` pairs with commas; what is not named is as in `start`.

    Raises `UsageError` for an unknown name, a number that is none or not finite, or one outside its range.
    """
    values: dict[str, float] = {"yaw": start.yaw, "pitch": start.pitch, "distance": start.distance}
    target = start.target
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, equals, number = pair.partition("=")
        if name == "target" and equals:
            parts = number.split(":")
            if len(parts) != 3:
                raise UsageError(f"a camera target is three numbers, not {number!r}; write target=0.5:0.5:0.5")
            target = (_to_number(parts[0], -1, 2), _to_number(parts[1], -1, 2), _to_number(parts[2], -1, 2))
        elif name in values and equals:
            low, high = {"yaw": (-3600, 3600), "pitch": (-MAX_PITCH, MAX_PITCH)}.get(name, (MIN_DISTANCE, MAX_DISTANCE))
            values[name] = _to_number(number, low, high)
        else:
            raise UsageError(f"{pair!r} is no part of a camera; write yaw=35,pitch=25,distance=1.8,target=0.5:0.5:0.5")
    return Camera(values["yaw"], values["pitch"], values["distance"], target)


def _to_number(text: str, low: float, high: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not low <= number <= high:
        raise UsageError(f"{text!r} is no number a camera can use here; use {low:g} to {high:g}")
    return number
