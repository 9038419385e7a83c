"""Pictures without a display."""

from __future__ import annotations

import numpy as np
from synthetic import PAGES, SyntheticRam

from qemu_bridge.wire.records import PageClass
from viewer.picture.offscreen import choose_camera, load_scene, show_view, work_out_entropy
from viewer.render.raymarch import Renderer
from viewer.view.camera import default_camera
from viewer.view.look import Look, Mode
from viewer.view.views import View


def test_the_chosen_view_is_level_with_the_default_and_shows_no_less(device, source):
    scene = load_scene(source, device)
    renderer = Renderer(scene)
    camera, start = choose_camera(renderer), default_camera(scene.relative_extent)
    assert camera.pitch == start.pitch

    def classes_seen(view):
        picked = renderer.pick_pages(view, (320, 180))
        return len(np.unique(source.entries["page_class"][picked[picked >= 0]]))

    assert classes_seen(camera) >= classes_seen(start) - 1


def test_the_chosen_view_is_of_what_is_there_and_not_of_the_empty_box(device, source):
    """A guest of 16 MiB that touched 2 MiB and a page at the end."""
    pages = 8 * PAGES
    entries = np.zeros(pages, source.entries.dtype)
    entries[:PAGES], entries[-1] = source.entries, source.entries[70]
    source.entries = entries
    source.ram = SyntheticRam(entries["page_class"] != PageClass.UNTOUCHED)
    scene = load_scene(source, device)
    camera = choose_camera(Renderer(scene), 1.0)
    picked = Renderer(scene).pick_pages(camera, (400, 400))
    shown = np.flatnonzero((picked >= 0).any(axis=1))
    assert shown[-1] - shown[0] > 200


def test_the_entropy_of_a_snap_is_all_worked_out(source, device):
    scene = load_scene(source, device)
    show_view(scene, source.ram, View(default_camera(), look=Look(mode=Mode.ENTROPY)))
    work_out_entropy(scene, source.ram)
    random = np.flatnonzero(source.ram.memory.any(axis=1))
    assert scene.is_settled
    assert (scene.page_style.entropy.values[random] > 150).all()
