"""The script of a video: its grammar, and the way of the camera."""

from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qemu_bridge.errors import UsageError
from qemu_bridge.wire.records import PageClass
from viewer.picture.script import camera_at, parse_script, read_script
from viewer.view.camera import Camera
from viewer.view.views import View

START = View(Camera(yaw=10.0, pitch=20.0, distance=3.0))


def test_script_has_a_shot_a_line_and_each_goes_on_from_the_last():
    shots = parse_script(
        "# a tour\n0 yaw=0\n\n2s distance=1.5  # nearer\n1 hold\n1 yaw=90,hide=slab\n1 yaw=95\n", START
    )
    assert [shot.seconds for shot in shots] == [0, 2, 1, 1, 1]
    assert [shot.view.camera.yaw for shot in shots] == [0, 0, 0, 90, 95]
    assert [shot.view.camera.distance for shot in shots] == [3.0, 1.5, 1.5, 1.5, 1.5]
    assert shots[2].view == shots[1].view and PageClass.SLAB in shots[3].view.look.hidden
    assert shots[4].view.look == shots[3].view.look


@pytest.mark.parametrize(
    ("script", "part"),
    [("fast yaw=3", "line 1"), ("1 yaw=3\n2 jaw=4", "line 2"), ("", "lasts 0 s"), ("9999999 hold", "line 1"), ("-1 hold", "line 1"), ("nan hold", "line 1")],
)  # fmt: skip
def test_what_is_no_script_is_refused_with_its_line(script, part):
    with pytest.raises(UsageError, match=part):
        parse_script(script, START)


@given(st.text(max_size=60))
def test_any_text_is_a_script_or_refused(text):
    try:
        assert parse_script(text, START)
    except UsageError as error:
        assert ";" in str(error)


def test_camera_is_at_the_shots_when_their_time_is_over_and_between_them_meanwhile():
    shots = parse_script("0 yaw=0,distance=1\n2 yaw=90,distance=4\n1 hold", START)
    assert camera_at(shots, 0.0)[1].yaw == pytest.approx(0)
    half = camera_at(shots, 1.0)[1]
    assert 0 < half.yaw < 90 and half.distance == pytest.approx(2.0)  # exponential
    assert camera_at(shots, 2.0)[1] == camera_at(shots, 2.5)[1] == camera_at(shots, 99.0)[1] == shots[1].view.camera


def test_a_script_is_a_file_or_standard_input(tmp_path, monkeypatch):
    path = tmp_path / "tour.txt"
    path.write_text("2 hold\n")
    assert read_script(str(path)) == "2 hold\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"3 hold")))
    assert read_script("-") == "3 hold"
    path.write_bytes(b"\xff\xfe")
    for name in (str(path), str(tmp_path / "nowhere")):
        with pytest.raises(UsageError, match=";"):
            read_script(name)


def test_what_stands_out_stays_until_another_shot_names_something_else():
    shots = parse_script("0 glow=pid:1/heap\n1 yaw=5\n1 glow=file:/a%2Cb\n1 glow=\n", START)
    assert [shot.view.glow for shot in shots] == ["pid:1/heap", "pid:1/heap", "file:/a,b", ""]
