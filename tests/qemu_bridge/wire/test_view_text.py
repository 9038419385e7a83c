"""The text of a view: what it may hold, and that what it may not is refused with what to write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qemu_bridge.errors import UsageError
from qemu_bridge.wire.records import PageClass
from qemu_bridge.wire.view_text import LOOK_PARTS, MAX_TEXT, read_parts


def test_parts_are_read_by_name():
    text = " yaw=35 ,target=0.5:0:1,mode=age,dim=slab+free,shade=0,slice=0:0:0:1:1:0.5,pin=0x1000,glow=a%2Cb,machine=x,"
    assert read_parts(text) == {
        "yaw": 35.0,
        "target": (0.5, 0.0, 1.0),
        "mode": "age",
        "dim": frozenset({PageClass.SLAB, PageClass.FREE}),
        "shade": False,
        "slice": (0.0, 0.0, 0.0, 1.0, 1.0, 0.5),
        "pin": 0x1000,
        "glow": "a,b",
        "machine": "x",
    }
    assert read_parts("") == {}


@pytest.mark.parametrize(
    "text",
    [
        *("bogus=3", "yaw", "yaw=", "yaw=nan", "yaw=1=2", "=", "pitch=90", "distance=0", "target=1:2", "target=9:0:0"),
        *("mode=loud", "palette=none", "hide=sky", "bytes=9:3:1:1", "bytes=1:2", "slice=0.5:0:0:0.5:1:1", "shade=2"),
        *("move=swim", "pin=x", "pin=-1", "glow=" + "x" * MAX_TEXT),
    ],
)
def test_what_no_viewer_can_read_is_refused_with_what_to_write(text):
    with pytest.raises(UsageError, match=r"; (write|use|leave)"):
        read_parts(text)


def test_only_the_names_that_are_asked_for_are_parts():
    with pytest.raises(UsageError, match=r"not part of a view; .* of mode, palette"):
        read_parts("yaw=3", LOOK_PARTS)


@given(st.text(max_size=60))
def test_no_text_does_more_than_be_refused(text):
    try:
        read_parts(text)
    except UsageError as error:
        assert str(error)
