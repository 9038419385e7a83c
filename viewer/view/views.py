"""A view as a short text, and the history of views for undo and redo.

A view says from where and how one looks (`viewer.view.look`) and what is selected. Its text fits a command line, a bug
report or a bookmark, and leaves out what is as usual::

    yaw=35,pitch=24,distance=3.2,target=0.5:0.5:0.5,move=fly,mode=entropy,dim=slab,pin=0x32a7100,glow=comm:sh/stack

``move`` is how one moves, ``pin`` an offset in the RAM file, of several machines of that named ``machine`` or of the first, ``glow`` a target whose memory stands out (docs/targets.md), with
commas and per cent signs as ``%2C`` and ``%25``; all but these and the camera's are the look's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from qemu_bridge.wire.view_text import CAMERA_PARTS, read_parts

from .camera import Camera, format_camera
from .look import Look

MOST_STEPS = 200
PLAIN = Look()
_SAME_MOVE_S = 0.8


class Mode(str, Enum):
    """What a drag does: turn about the target, turn the head, or move over a map."""

    ORBIT = "orbit"
    FLY = "fly"
    TOP = "top"


@dataclass(frozen=True, slots=True)
class View:
    """What one looks at; `pin` is the selected byte's offset in the RAM file, `glow` the target that stands out, empty for none.

    `machine` is the name of the one, of several, that `pin` is in; empty for the first.
    """

    camera: Camera
    mode: Mode = Mode.ORBIT
    look: Look = PLAIN
    pin: int | None = None
    glow: str = ""
    machine: str = ""


def format_view(view: View) -> str:
    """The text that `parse_view` reads back."""
    parts = [format_camera(view.camera)]
    if view.mode != Mode.ORBIT:
        parts.append(f"move={view.mode.value}")
    if look := view.look.to_text():
        parts.append(look)
    if view.pin is not None:
        parts.append(f"pin={view.pin:#x}")
    if view.machine:
        parts.append(f"machine={_quote(view.machine)}")
    if view.glow:
        parts.append(f"glow={_quote(view.glow)}")
    return ",".join(parts)


def _quote(words: str) -> str:
    return words.replace("%", "%25").replace(",", "%2C")


def parse_view(text: str, start: View) -> View:
    """The view in `text`; a part of the camera that is not named is as in `start`, the rest as usual.

    Raises `UsageError` for a word or a value that is none.
    """
    parts = read_parts(text)
    return View(
        replace(start.camera, **{name: parts[name] for name in CAMERA_PARTS if name in parts}),
        Mode(parts.get("move", Mode.ORBIT)),
        Look.from_parts(parts),
        parts.get("pin"),
        parts.get("glow", ""),
        parts.get("machine", ""),
    )


class ViewHistory:
    """Undo and redo of moves. Moves of one kind that follow each other at once count as one."""

    def __init__(self) -> None:
        self._past: list[View] = []
        self._future: list[View] = []
        self._last_kind, self._last_time = "", float("-inf")

    def mark(self, before: View, kind: str, now_s: float) -> None:
        """Note that a move of `kind` leaves the view `before`; `now_s` counts seconds from anywhere."""
        is_same = kind == self._last_kind and now_s - self._last_time < _SAME_MOVE_S
        self._last_kind, self._last_time = kind, now_s
        if is_same or (self._past and self._past[-1] == before):
            return
        self._past = [*self._past[1 - MOST_STEPS :], before]
        self._future = []

    def undo(self, present: View) -> View | None:
        """The view before the last move; None where there is none."""
        return self._step(self._past, self._future, present)

    def redo(self, present: View) -> View | None:
        """The view that `undo` left; None where there is none."""
        return self._step(self._future, self._past, present)

    def _step(self, source: list[View], sink: list[View], present: View) -> View | None:
        self._last_kind = ""
        if not source:
            return None
        sink.append(present)
        return source.pop()
