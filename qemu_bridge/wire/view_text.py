"""The text of a view (docs/viewer.md): which parts it may have, and which values each may take.

The viewer makes its picture of it; the daemon refuses what no viewer could read, before it tells one.

>>> read_parts("yaw=35, mode=entropy,target=0.5:0.5:1")
{'yaw': 35.0, 'mode': 'entropy', 'target': (0.5, 0.5, 1.0)}
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote

from ..errors import UsageError
from .records import PageClass

MAX_TEXT = 4096
"""Longest text of a view."""
MAX_PITCH = 89.0
MAX_YAW = 3600.0
MIN_DISTANCE, MAX_DISTANCE = 0.02, 20.0
FARTHEST_TARGET = 8.0
"""How far from the middle of the cube a target may be: looking around from far off moves it beyond."""
MODES = ("class", "owner", "bytes", "entropy", "age", "writes", "execution", "difference", "equal", "learned")
"""What colours mean."""
PALETTES = ("default", "red-green", "blue-yellow")
MOVES = ("orbit", "fly", "top")
"""What a drag does."""

Numbers = tuple[float, ...]


def read_parts(text: str, names: Iterable[str] | None = None) -> dict[str, Any]:
    """The parts of a view's text by name, each as its value; only `names`, where given, are parts.

    Numbers are floats, several a tuple of them; ``pin`` is an integer, classes are a frozenset, switches booleans, all else strings.
    Raises `UsageError` for what is no part or no value of one, with what to write.
    """
    if len(text) > MAX_TEXT:
        raise UsageError(f"a view of {len(text)} characters is too long; use {MAX_TEXT} at most")
    known = PARTS if names is None else {name: PARTS[name] for name in names}
    parts = {}
    for pair in filter(None, (word.strip() for word in text.split(","))):
        name, equals, value = (word.strip() for word in pair.partition("="))
        if name not in known or not equals:
            raise UsageError(f"{pair!r} is not part of a view; write NAME=VALUE with a name of {', '.join(known)}")
        parts[name] = known[name](name, value)
    return parts


def check_transfer(numbers: Numbers) -> None:
    """`UsageError` unless these are the lowest byte that shows, the highest, gamma and opacity."""
    low, high, gamma, opacity = numbers
    if not (0 <= low <= high <= 255 and 0.1 <= gamma <= 10 and 0 <= opacity <= 1):
        raise UsageError(
            f"{format_numbers(numbers)} is not a transfer function; write LOW:HIGH:GAMMA:OPACITY with bytes of 0 to 255, gamma of"
            " 0.1 to 10 and opacity of 0 to 1"
        )


def check_box(numbers: Numbers) -> None:
    """`UsageError` unless these are two corners of a box, the lower one first."""
    if not all(0 <= low < high <= 1 for low, high in zip(numbers[:3], numbers[3:], strict=True)):
        raise UsageError(
            f"{format_numbers(numbers)} is not a box; write X:Y:Z:X:Y:Z, from 0 to 1, the lower corner first"
        )


def format_numbers(numbers: Iterable[float]) -> str:
    """Numbers as a view's text has them."""
    return ":".join(f"{number:.4g}" for number in numbers)


def _between(low: float, high: float) -> Callable[[str, str], float]:
    return lambda name, text: _number(name, text, low, high)


def _number(name: str, text: str, low: float, high: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not low <= number <= high:
        raise UsageError(f"{text!r} is out of range for {name}; use {low:g} to {high:g}")
    return number


def _target(name: str, text: str) -> Numbers:
    words = text.split(":")
    if len(words) != 3:
        raise UsageError(f"a camera target is three numbers, not {text!r}; write target=0.5:0.5:0.5")
    return tuple(_number(name, word, 0.5 - FARTHEST_TARGET, 0.5 + FARTHEST_TARGET) for word in words)


def _numbers(count: int, check: Callable[[Numbers], None]) -> Callable[[str, str], Numbers]:
    def read(name: str, text: str) -> Numbers:
        try:
            numbers = tuple(float(word) for word in text.split(":"))
        except ValueError:
            numbers = ()
        if len(numbers) != count or not all(map(math.isfinite, numbers)):
            raise UsageError(f"{name}={text} needs {count} numbers joined by colons; leave it out for the default")
        check(numbers)
        return numbers

    return read


def _one_of(words: tuple[str, ...], what: str) -> Callable[[str, str], str]:
    def read(name: str, text: str) -> str:
        if text not in words:
            raise UsageError(f"there is no {what} {text!r}; write {name}= and one of {', '.join(words)}")
        return text

    return read


def _classes(_: str, text: str) -> frozenset[PageClass]:
    known = {page_class.word: page_class for page_class in PageClass}
    if text == "all":
        return frozenset(PageClass)
    names = [] if text in ("", "none") else text.split("+")
    wrong = [name for name in names if name not in known]
    if wrong:
        raise UsageError(f"there is no class {wrong[0]!r}; use {', '.join(known)}, joined by +")
    return frozenset(known[name] for name in names)


def _switch(name: str, text: str) -> bool:
    if text not in ("0", "1"):
        raise UsageError(f"{name}={text} is neither on nor off; write {name}=1 or {name}=0")
    return text == "1"


def _offset(name: str, text: str) -> int:
    try:
        offset = int(text, 0)
    except ValueError:
        offset = -1
    if not 0 <= offset < 1 << 52:
        raise UsageError(f"{text!r} is not an offset in RAM; write a number such as {name}=0x32a7100")
    return offset


def _words(_: str, text: str) -> str:
    return unquote(text).strip()


CAMERA_PARTS: dict[str, Callable[[str, str], Any]] = {
    "yaw": _between(-MAX_YAW, MAX_YAW),
    "pitch": _between(-MAX_PITCH, MAX_PITCH),
    "distance": _between(MIN_DISTANCE, MAX_DISTANCE),
    "target": _target,
}
"""Where one looks from."""
LOOK_PARTS: dict[str, Callable[[str, str], Any]] = {
    "mode": _one_of(MODES, "colouring"),
    "palette": _one_of(PALETTES, "palette"),
    "hide": _classes,
    "dim": _classes,
    "only": _classes,
    "bytes": _numbers(4, check_transfer),
    "slice": _numbers(6, check_box),
    "shade": _switch,
    "edges": _switch,
    "heat": _switch,
    "labels": _switch,
}
"""How it looks."""
PARTS = (
    CAMERA_PARTS
    | LOOK_PARTS
    | {"move": _one_of(MOVES, "camera mode"), "pin": _offset, "machine": _words, "glow": _words}
)
