"""The colours of pages outside the 3D picture."""

from __future__ import annotations

import numpy as np
import pytest

from qemu_bridge.wire.records import PageClass
from viewer.picture.offscreen import load_scene
from viewer.render.page_colours import page_colours
from viewer.view.look import Look, Mode, value_ramp
from viewer.view.palette import MATERIALS


def test_a_page_has_the_colour_of_its_class_and_hidden_ones_are_clear(device, source):
    scene = load_scene(source, device)
    colours = page_colours(scene)
    classes = source.entries["page_class"]
    assert colours.shape == (scene.page_count, 4)
    text = colours[classes == PageClass.KERNEL_TEXT]
    assert (text[:, :3] == MATERIALS[PageClass.KERNEL_TEXT].colour).all() and (text[:, 3] == 255).all()
    assert not colours[classes == PageClass.UNTOUCHED, 3].any()


def test_highlighted_and_selected_pages_stand_out(device, source):
    scene = load_scene(source, device)
    before = page_colours(scene)
    scene.highlight(np.array([70]))
    scene.select(np.array([71]))
    changed = np.flatnonzero((page_colours(scene) != before).any(axis=1))
    assert changed.tolist() == [70, 71]


@pytest.mark.parametrize("mode", [Mode.OWNER, Mode.ENTROPY])
def test_a_page_has_the_colour_of_its_value(device, source, mode):
    scene = load_scene(source, device)
    scene.set_look(Look(mode=mode))
    while not scene.is_settled:
        scene.advance(source.ram.view, 0.0)
    values = scene.page_style.words[70] & 255
    assert page_colours(scene)[70, :3].tolist() == value_ramp(scene.look)[values].tolist()
