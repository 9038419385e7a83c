"""Files of video: whole, or not there."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from qemu_bridge.errors import GlassBoxError, UsageError
from viewer.picture.mp4 import Mp4


def test_a_film_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(GlassBoxError, match="-o"):
        Mp4(tmp_path / "no" / "where.mp4", (320, 180), 30)
    with pytest.raises(UsageError, match="even"):
        Mp4(tmp_path / "odd.mp4", (321, 180), 30)
    for folder in (Path("."), Path("/"), tmp_path):
        with pytest.raises(UsageError, match="-o"):
            Mp4(folder, (320, 180), 30)
    with pytest.raises(RuntimeError), Mp4(tmp_path / "half.mp4", (320, 180), 30) as file:
        file.write(np.zeros((180, 320, 3), np.uint8))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_before_the_first_frame_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), Mp4(tmp_path / "none.mp4", (320, 180), 30):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_what_was_recorded_until_ctrl_c_stays(tmp_path):
    with pytest.raises(KeyboardInterrupt), Mp4(tmp_path / "short.mp4", (320, 180), 30) as file:
        for _ in range(5):
            file.write(np.zeros((180, 320, 3), np.uint8))
        raise KeyboardInterrupt
    with av.open(str(tmp_path / "short.mp4")) as film:
        assert sum(1 for _ in film.decode(video=0)) == 5
