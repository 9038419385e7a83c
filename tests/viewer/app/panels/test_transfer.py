"""The transfer function as a panel, and numbers on the ramp."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from viewer.app import appearance
from viewer.app.panels import layers
from viewer.app.panels.layout import lay_out
from viewer.app.panels.transfer import set_transfer
from viewer.view.look import Mode, Transfer


@pytest.mark.parametrize("mode", list(Mode))
def test_the_layers_panel_draws_in_every_mode(device, state, mode, caplog):
    from rendercanvas.offscreen import RenderCanvas
    from wgpu.utils.imgui import ImguiRenderer

    appearance.set_look(state, replace(state.scene.look, mode=mode))
    canvas = RenderCanvas(size=(400, 700))
    renderer = ImguiRenderer(device, canvas, "rgba8unorm")
    renderer.set_gui(lambda: layers.draw(state, lay_out((400, 700), 1.0, True, None)))
    canvas.request_draw(renderer.render)
    for _ in range(2):
        shown = np.asarray(canvas.draw())
    canvas.close()
    assert shown.max() > 180
    # What fails while drawing is only logged by the canvas.
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_numbers_out_of_range_are_moved_into_it(state):
    set_transfer(state, 300, -5, 99, 2)
    assert state.scene.look.transfer == Transfer(255, 255, 10.0, 1.0)
