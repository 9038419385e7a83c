"""Files that pictures are written to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qemu_bridge.errors import GlassBoxError
from viewer.picture.output import validate_output, write_picture


def test_a_path_that_cannot_be_written_is_one_sentence(tmp_path):
    with pytest.raises(GlassBoxError, match="-o"):
        write_picture(np.zeros((16, 16, 3), np.uint8), tmp_path / "no" / "such" / "folder.png")


def test_what_cannot_be_written_is_known_before_it_is_drawn(tmp_path):
    (tmp_path / "file").touch()
    for path in (
        tmp_path,
        tmp_path / "no" / "x.png",
        tmp_path / "file" / "x.png",
        Path("/"),
    ):
        with pytest.raises(GlassBoxError, match="-o"):
            validate_output(path)
    validate_output(tmp_path / "x.png")
    validate_output(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
