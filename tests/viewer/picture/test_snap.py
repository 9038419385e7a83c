"""One picture, as the library and the command line write it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from qemu_bridge.errors import GlassBoxError, UnknownMachineError, UsageError
from qemu_bridge.wire.picture_records import SnapOptions, SnapResult
from viewer.picture.snap import snap, snap_machine


def test_snap_writes_a_picture_with_words(source, tmp_path, device):
    path = tmp_path / "picture.png"
    snap(source, SnapOptions(str(path), 640, 360))
    picture = np.asarray(Image.open(path))
    assert picture.shape == (360, 640, 3)
    assert picture[:, :130].max() > 150  # the legend
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 1000


def test_a_snap_shows_the_view_that_a_text_says(source, tmp_path, device):
    paths = [tmp_path / f"{name}.png" for name in ("plain", "entropy", "slice")]
    for path, view in zip(paths, ("", "mode=entropy", "yaw=35,slice=0:0:0:1:1:0.5,pin=0x3c000"), strict=True):
        snap(source, SnapOptions(str(path), 640, 360, view))
    plain, entropy, cut = (np.asarray(Image.open(path)).astype(int) for path in paths)
    for other in (entropy, cut):
        assert (np.abs(plain - other)[:, 250:].max(axis=-1) > 40).mean() > 0.02


@pytest.mark.parametrize("view", ["mode=gaudy", "yaw=up", "pin=0x200000", "slice=1:2"])
def test_a_wrong_view_is_one_sentence(source, tmp_path, device, view):
    with pytest.raises(UsageError, match=r"[;,] "):
        snap(source, SnapOptions(str(tmp_path / "x.png"), 64, 64, view))
    assert not (tmp_path / "x.png").exists()


def test_one_picture_of_writes_says_that_it_shows_none(source, tmp_path, device, caplog):
    snap(source, SnapOptions(str(tmp_path / "x.png"), 64, 64, "mode=writes"))
    assert "record a video" in caplog.text


def test_a_snap_tells_what_it_wrote_and_how_far_it_is(source, tmp_path, device):
    told = []
    path = tmp_path / "x.png"
    result = snap(source, SnapOptions(str(path), 64, 48, "yaw=35"), lambda *now: told.append(now))
    assert result == SnapResult(str(path), 64, 48, result.at, source.title, result.elapsed_s)
    assert result.at.startswith("yaw=35,") and result.elapsed_s > 0
    total = told[-1][1]
    assert told == [(done, total) for done in range(1, total + 1)]
    again = tmp_path / "again.png"
    snap(source, SnapOptions(str(again), 64, 48, result.at))
    assert np.array_equal(np.asarray(Image.open(path)), np.asarray(Image.open(again)))


def test_a_file_that_cannot_be_written_is_known_before_anything_is_drawn(source, tmp_path):
    told = []
    with pytest.raises(GlassBoxError, match="-o"):
        snap(source, SnapOptions(str(tmp_path / "no" / "x.png")), lambda *now: told.append(now))
    assert not told


def test_a_machine_that_does_not_run_is_named(tmp_path):
    with pytest.raises(UnknownMachineError, match="no-such-machine"):
        snap_machine("no-such-machine", SnapOptions(str(tmp_path / "x.png")))
