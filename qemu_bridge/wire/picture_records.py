"""Records of pictures and videos: what to draw, and what was drawn."""

from __future__ import annotations

from ..errors import UsageError
from .records import HostPath, Record

MIN_SIDE, MAX_SIDE = 16, 8192
"""Pixels of a side of a picture."""
MAX_FPS = 120


def validate_picture_size(width: int, height: int) -> None:
    """Raise `UsageError` for a side outside 16 to 8192 pixels."""
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in (width, height)):
        raise UsageError(
            f"'{width}x{height}' is not a picture size; write WIDTHxHEIGHT with {MIN_SIDE} to {MAX_SIDE} pixels each, such as 1280x720"
        )


def validate_fps(fps: int) -> None:
    """Raise `UsageError` for a frame rate outside 1 to 120 a second."""
    if not 1 <= fps <= MAX_FPS:
        raise UsageError(f"a frame rate of {fps} is not supported; use 1 to {MAX_FPS}")


class SnapOptions(Record, frozen=True):
    """What to draw, and where to; `UsageError` for a size out of range.

    Attributes:
        output: path of the PNG.
        width, height: in pixels, 16 to 8192.
        at: the text of a view (docs/viewer.md); empty for the view that shows most.
        against: a capture's folder or a machine's name to compare with; None for none.
        order: of the voxel grid, 6 to 10; None for the finest that fits.
        beside: more machines, or captures' folders, that stand beside it in the same picture.
    """

    output: HostPath
    width: int = 1280
    height: int = 720
    at: str = ""
    against: HostPath | None = None
    order: int | None = None
    beside: tuple[HostPath, ...] = ()

    def __post_init__(self) -> None:
        validate_picture_size(self.width, self.height)


class SnapResult(Record, frozen=True):
    """The picture that was written.

    Attributes:
        path: of the PNG.
        width, height: in pixels.
        at: text of the view drawn, to draw or open it again.
        title: of the machine: name, RAM size, kernel.
        elapsed_s: seconds that loading and drawing took.
    """

    path: str
    width: int
    height: int
    at: str
    title: str
    elapsed_s: float


class VideoOptions(Record, frozen=True):
    """What to record, and where to; `UsageError` for a size or a frame rate out of range.

    Attributes:
        output: path of the MP4.
        width, height: in pixels, even, 16 to 8192.
        fps: frames a second, 1 to 120.
        script: the text of the shots (docs/viewer.md); None to hold the first view for `seconds`.
        seconds: how long without a script.
        at: the text of the view to begin with; empty for the view that shows most.
        against: a capture's folder or a machine's name to compare with; None for none.
        order: of the voxel grid, 6 to 10; None for the finest that fits.
        beside: more machines, or captures' folders, that stand beside it in the same picture.
    """

    output: HostPath
    width: int = 1280
    height: int = 720
    fps: int = 30
    script: str | None = None
    seconds: float = 10.0
    at: str = ""
    against: HostPath | None = None
    order: int | None = None
    beside: tuple[HostPath, ...] = ()

    def __post_init__(self) -> None:
        validate_picture_size(self.width, self.height)
        validate_fps(self.fps)


class VideoResult(Record, frozen=True):
    """The video that was written.

    Attributes:
        path: of the MP4.
        width, height: in pixels.
        fps: frames a second.
        frames: how many it has.
        duration_s: seconds that it lasts.
        title: of the machine: name, RAM size, kernel.
        elapsed_s: seconds that recording took.
    """

    path: str
    width: int
    height: int
    fps: int
    frames: int
    duration_s: float
    title: str
    elapsed_s: float
