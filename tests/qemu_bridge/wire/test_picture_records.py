"""Records of pictures and videos."""

import msgspec
import pytest

from qemu_bridge.errors import UsageError
from qemu_bridge.wire.picture_records import SnapOptions, VideoOptions, validate_fps, validate_picture_size


@pytest.mark.parametrize(("width", "height"), [(15, 100), (100, 15), (8193, 100), (0, 0), (-1, 100), (1 << 60, 16)])
def test_a_size_out_of_range_is_refused_when_the_record_is_made(width, height):
    for make in (
        validate_picture_size,
        lambda *size: SnapOptions("x.png", *size),
        lambda *size: VideoOptions("x", *size),
    ):
        with pytest.raises(UsageError, match="not a picture size"):
            make(width, height)


@pytest.mark.parametrize("fps", [0, -1, 121, 1 << 40])
def test_a_frame_rate_out_of_range_is_refused(fps):
    for make in (validate_fps, lambda fps: VideoOptions("x.mp4", fps=fps)):
        with pytest.raises(UsageError, match="frame rate"):
            make(fps)


def test_a_wrong_size_on_the_wire_is_refused_where_it_is_decoded():
    with pytest.raises(msgspec.ValidationError, match="not a picture size"):
        msgspec.json.decode(b'{"output": "x.png", "width": 1}', type=SnapOptions)
    options = VideoOptions("x.mp4", 160, 90, script="1 hold")
    assert msgspec.json.decode(msgspec.json.encode(options), type=VideoOptions) == options
