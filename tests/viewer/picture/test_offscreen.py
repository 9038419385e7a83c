"""Pictures without a display."""

from __future__ import annotations

import numpy as np

from viewer.picture.offscreen import choose_camera, load_scene, show_view
from viewer.render.raymarch import Renderer
from viewer.view.camera import default_camera
from viewer.view.look import Look, Mode
from viewer.view.views import View


def test_the_chosen_view_is_level_with_the_default_and_shows_no_less(device, source):
    scene = load_scene(source, device)
    renderer = Renderer(scene)
    camera, start = choose_camera(renderer), default_camera(scene.relative_extent)
    assert (camera.pitch, camera.distance, camera.target) == (start.pitch, start.distance, start.target)

    def classes_seen(view):
        picked = renderer.pick_pages(view, (320, 180))
        return len(np.unique(source.entries["page_class"][picked[picked >= 0]]))

    assert classes_seen(camera) >= classes_seen(start) - 1


def test_the_entropy_of_a_snap_is_all_worked_out(source, device):
    scene = load_scene(source, device)
    show_view(scene, source.ram, View(default_camera(), look=Look(mode=Mode.ENTROPY)))
    random = np.flatnonzero(source.ram.memory.any(axis=1))
    assert scene.is_settled
    assert (scene.page_style.entropy.values[random] > 150).all()
