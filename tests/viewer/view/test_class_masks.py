"""Masks of classes, as the shader tests them."""

from __future__ import annotations

from qemu_bridge.wire.records import PageClass
from viewer.view.class_masks import body_mask, solid_mask, undimmed_classes, visible_mask
from viewer.view.look import Layer, Look, Mode


def bits(mask):
    return {page_class for page_class in PageClass if mask >> page_class & 1}


def test_masks_follow_the_look():
    look = Look().with_layer([PageClass.KERNEL_TEXT], Layer.DIMMED).with_layer([PageClass.MODULE], Layer.HIDDEN)
    assert bits(visible_mask(look)) == look.visible
    assert PageClass.KERNEL_TEXT in bits(visible_mask(look)) and PageClass.MODULE not in bits(visible_mask(look))
    assert not {PageClass.KERNEL_TEXT, PageClass.MODULE} & bits(body_mask(look))
    assert bits(solid_mask(look)) < bits(body_mask(look)) < undimmed_classes(look)
    assert PageClass.PAGE_TABLE in bits(body_mask(look)) - bits(solid_mask(look))


def test_where_colours_show_activity_no_class_is_drawn_in_full():
    look = Look(mode=Mode.WRITES)
    assert not undimmed_classes(look) and not body_mask(look) and visible_mask(look)
