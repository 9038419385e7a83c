"""A look as a value and as a text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qemu_bridge.errors import UsageError
from qemu_bridge.wire import view_text
from qemu_bridge.wire.records import PageClass
from viewer.view.look import Layer, Look, Mode, Slice, Transfer
from viewer.view.palette import PALETTES

LOOKS = [
    Look(),
    *(Look(mode=mode) for mode in Mode),
    Look(palette="red-green", shading=False, owner_edges=True, heat=False, labels=False),
    Look(hidden=frozenset(), dimmed=frozenset({PageClass.SLAB, PageClass.FREE})),
    Look(isolated=frozenset({PageClass.PROCESS_HEAP})),
    Look(transfer=Transfer(32, 126, 0.5, 0.25), box=Slice((0, 0.25, 0), (0.5, 1, 0.75))),
]


@pytest.mark.parametrize("look", LOOKS)
def test_a_look_survives_its_text(look):
    assert Look.from_text(look.to_text()) == look


def test_its_text_may_name_each_colouring_and_palette():
    assert [mode.value for mode in Mode] == list(view_text.MODES) and list(PALETTES) == list(view_text.PALETTES)


def test_the_default_look_is_an_empty_text():
    assert Look().to_text() == ""


@pytest.mark.parametrize(
    "text",
    [
        *("mode=loud", "palette=none", "hide=everything", "slice=0:0:0:1:1", "slice=0.5:0:0:0.5:1:1", "bytes=9:3:1:1"),
        *("bytes=a:b:c:d", "slice=nan:0:0:1:1:1", "shade=2", "colour=red", "dim=" + "slab+" * 2000),
    ],
)
def test_what_is_no_look_is_refused_with_what_to_write(text):
    with pytest.raises(UsageError, match=";"):
        Look.from_text(text)


def test_a_class_is_in_one_layer():
    look = Look().with_layer([PageClass.SLAB], Layer.DIMMED).with_layer([PageClass.SLAB], Layer.HIDDEN)
    assert look.layer(PageClass.SLAB) is Layer.HIDDEN
    assert look.layer(PageClass.KERNEL_TEXT) is Layer.SHOWN
    assert PageClass.SLAB not in look.visible
    assert look.with_layer([PageClass.SLAB], Layer.SHOWN) == Look()
    assert Look().with_layer([PageClass.SLAB], Layer.ISOLATED).visible == {PageClass.SLAB}
    assert Look().toggled([PageClass.SLAB]).toggled([PageClass.SLAB]) == Look()


def test_a_slice_is_whole_pages_and_at_least_one():
    assert Slice((0, 0.3, 0), (1, 0.31, 0.5)).in_pages((8, 8, 8)) == ((0, 2, 0), (8, 3, 4))
    assert Slice((0.99, 0, 0), (1, 1, 1)).in_pages((1, 1, 1)) == ((0, 0, 0), (1, 1, 1))
    assert replace(Look(), mode=Mode.AGE).mode.is_activity


def test_all_classes_have_a_short_name():
    look = Look.from_text("dim=all")
    assert look.dimmed == frozenset(PageClass) and look.to_text() == "dim=all"
