"""The script of a video: a shot a line, and where the camera is at any time.

How many seconds the way there takes, then the view as `viewer.view.views` writes it. ``hold`` stays where one is. What a view
does not name is as in the shot before, ``#`` begins a comment::

    0   yaw=35,pitch=24          # begin here
    4   yaw=125                  # a quarter turn in four seconds
    2   hold
    3   distance=0.6,target=0.2:0.5:0.4

On the way the target moves linearly, the orientation by slerp and the distance exponentially, as Neuroglancer's video tool
does.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from qemu_bridge.errors import UsageError
from qemu_bridge.wire.view_text import LOOK_PARTS

from ..view.camera import Camera, blend
from ..view.views import View, parse_view

MAX_SECONDS = 3600.0
MAX_SCRIPT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Shot:
    """The view one arrives at, `seconds` after the one before."""

    view: View
    seconds: float


def parse_script(text: str, start: View) -> tuple[Shot, ...]:
    """The shots in `text`; the first continues `start`. `UsageError`, naming the line, for an invalid one."""
    shots: list[Shot] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].split(None, 1)
        if not words:
            continue
        view = shots[-1].view if shots else start
        try:
            seconds = _to_seconds(words[0])
            if len(words) > 1 and words[1].strip() != "hold":
                view = _next_view(words[1], view)
        except UsageError as error:
            raise UsageError(f"line {number} of the video script: {error}") from None
        shots.append(Shot(view, seconds))
    total = sum(shot.seconds for shot in shots)
    if not 0 < total <= MAX_SECONDS:
        raise UsageError(
            f"the video script lasts {total:g} s; write shots such as '4 yaw=125' of up to an hour together"
        )
    return tuple(shots)


def read_script(name: str) -> str:
    """The script in file `name`, or on standard input for ``-``; `UsageError` where there is none to read."""
    try:
        data = sys.stdin.buffer.read(MAX_SCRIPT_BYTES) if name == "-" else Path(name).read_bytes()[:MAX_SCRIPT_BYTES]
        return data.decode()
    except OSError as error:
        raise UsageError(f"cannot read the video script {name} ({error.strerror}); give a text file or -") from None
    except UnicodeDecodeError:
        raise UsageError(f"the video script {name} is not text; write lines such as '4 yaw=125'") from None


def _next_view(text: str, before: View) -> View:
    view = parse_view(text, before)
    names = {pair.partition("=")[0].strip() for pair in text.split(",")}
    view = view if names & LOOK_PARTS.keys() else replace(view, look=before.look)
    return view if "glow" in names else replace(view, glow=before.glow)


def _to_seconds(word: str) -> float:
    try:
        seconds = float(word.removesuffix("s"))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_SECONDS:
        raise UsageError(f"{word!r} is not a time; begin each shot with its seconds, such as '4 yaw=125'")
    return seconds


def camera_at(shots: tuple[Shot, ...], time_s: float) -> tuple[View, Camera]:
    """The shot that one is in, or on the way to, at `time_s`, and the camera of that moment."""
    before = shots[0].view
    for shot in shots:
        if time_s < shot.seconds:
            if before.camera == shot.view.camera:
                return shot.view, before.camera
            share = time_s / shot.seconds
            return shot.view, blend(before.camera, shot.view.camera, share * share * (3 - 2 * share))
        time_s -= shot.seconds
        before = shot.view
    return before, before.camera
