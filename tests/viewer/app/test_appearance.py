"""Which classes show, and how."""

from __future__ import annotations

from dataclasses import replace

from qemu_bridge.wire.records import PageClass
from viewer.app import appearance, navigation
from viewer.view.look import Layer, Mode


def test_a_class_is_toggled_dimmed_and_isolated_and_all_are_shown_again(state):
    look = state.scene.look
    appearance.toggle(state, [PageClass.KERNEL_TEXT])
    assert state.scene.look.layer(PageClass.KERNEL_TEXT) is Layer.HIDDEN
    for wanted in (Layer.DIMMED, Layer.SHOWN):
        appearance.dim(state, PageClass.PAGE_TABLE)
        assert state.scene.look.layer(PageClass.PAGE_TABLE) is wanted
    appearance.isolate(state, PageClass.PAGE_TABLE)
    assert state.scene.visible == {PageClass.PAGE_TABLE}
    appearance.isolate(state, PageClass.PAGE_TABLE)
    assert PageClass.SLAB in state.scene.visible
    appearance.show_all(state)
    assert state.scene.look == look


def test_a_look_can_be_undone(state):
    before = state.scene.look
    appearance.set_look(state, replace(before, mode=Mode.ENTROPY))
    assert state.scene.look.mode is Mode.ENTROPY
    navigation.undo(state)
    assert state.scene.look == before
