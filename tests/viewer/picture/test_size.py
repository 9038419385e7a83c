"""Sizes of pictures."""

from __future__ import annotations

import pytest

from qemu_bridge.errors import UsageError
from qemu_bridge.wire.picture_records import validate_picture_size
from viewer.picture.size import parse_picture_size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1280",
        "0x0",
        "1280x",
        "x720",
        "-1x5",
        "15x100",
        "9000x100",
        "axb",
        "1x2x3",
        "²x100",
        "٣٢x32",
        "9" * 5000 + "x32",
    ],
)
def test_sizes_that_are_none_are_refused(text):
    with pytest.raises(UsageError, match="1280x720"):
        parse_picture_size(text)


def test_a_size_is_width_by_height():
    assert parse_picture_size("1600X1000") == (1600, 1000)


def test_a_size_in_pixels_has_the_same_limits():
    validate_picture_size(16, 8192)
    for width, height in ((15, 100), (100, 8193), (-16, 16)):
        with pytest.raises(UsageError, match="1280x720"):
            validate_picture_size(width, height)
