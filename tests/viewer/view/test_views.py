"""Views as text, and the way back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qemu_bridge.errors import UsageError
from qemu_bridge.wire.records import PageClass
from qemu_bridge.wire.view_text import MOVES
from viewer.view.camera import Camera
from viewer.view.look import Look
from viewer.view.look import Mode as LookMode
from viewer.view.views import Mode, View, ViewHistory, format_view, parse_view

START = View(Camera())
LOOK = Look(mode=LookMode.ENTROPY, dimmed=frozenset({PageClass.SLAB}))


@pytest.mark.parametrize(
    "view",
    [
        START,
        View(Camera(10, -20, 0.5, (0.1, 0.2, 0.3)), Mode.FLY, LOOK, 0x32A7100),
        View(Camera(), Mode.TOP, pin=0, glow="file:/tmp/50%,x + pid:1/heap"),
    ],
)
def test_a_view_comes_back_from_its_text(view):
    assert parse_view(format_view(view), START) == view


def test_its_text_may_name_each_way_to_move():
    assert [mode.value for mode in Mode] == list(MOVES)


def test_a_part_that_is_not_named_is_as_usual():
    assert parse_view("yaw=10", View(Camera(pitch=5), Mode.FLY, LOOK, 7)) == View(Camera(yaw=10, pitch=5))


@given(st.text(max_size=60))
def test_no_text_does_more_than_be_refused(text):
    try:
        parse_view(text, START)
    except UsageError as error:
        assert str(error)


@pytest.mark.parametrize("text", ["move=swim", "pin=x", "pin=-1", "hide=sky", "yaw=x", "fish"])
def test_nonsense_is_refused_with_advice(text):
    with pytest.raises(UsageError, match=r"write|use|there is"):
        parse_view(text, START)


def test_undo_goes_back_and_redo_forth_again():
    history, views = ViewHistory(), [View(Camera(yaw=yaw)) for yaw in (0, 1, 2)]
    history.mark(views[0], "drag", 0.0)
    history.mark(views[1], "wheel", 0.1)
    assert history.undo(views[2]) == views[1]
    assert history.undo(views[1]) == views[0]
    assert history.undo(views[0]) is None
    assert history.redo(views[0]) == views[1]
    assert history.redo(views[1]) == views[2]
    assert history.redo(views[2]) is None


def test_moves_of_a_kind_that_follow_each_other_are_one_and_a_new_move_ends_redo():
    history, views = ViewHistory(), [View(Camera(yaw=yaw)) for yaw in range(6)]
    for number in range(4):
        history.mark(views[number], "wheel", 0.3 * number)
    assert history.undo(views[4]) == views[0]
    history.mark(views[5], "drag", 9.0)
    assert history.redo(views[0]) is None
