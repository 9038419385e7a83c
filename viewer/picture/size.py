"""Sizes of pictures, as text and in pixels."""

from __future__ import annotations

from qemu_bridge.errors import UsageError
from qemu_bridge.wire.picture_records import MAX_SIDE, MIN_SIDE


def parse_picture_size(text: str) -> tuple[int, int]:
    """(width, height) in pixels of a text such as ``1280x720``; `UsageError` outside 16 to 8192 a side."""
    width, times, height = text.lower().partition("x")
    sides = (width, height)
    # Of the digits of other scripts int() takes some and refuses others; and none needs more than five letters.
    if times and all(side.isascii() and side.isdigit() and len(side) < 6 for side in sides):
        if all(MIN_SIDE <= int(side) <= MAX_SIDE for side in sides):
            return int(width), int(height)
    raise UsageError(
        f"{text!r} is not a picture size; write WIDTHxHEIGHT with {MIN_SIDE} to {MAX_SIDE} pixels each, such as 1280x720"
    )
