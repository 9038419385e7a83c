"""What a colouring without data says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from viewer.app import appearance
from viewer.app.commands import Command, Commands
from viewer.app.panels import notice
from viewer.view.look import Mode

pytestmark = pytest.mark.usefixtures("no_errors")


@pytest.mark.parametrize(
    ("mode", "is_explained"), [(Mode.CLASS, False), (Mode.DIFFERENCE, True), (Mode.EXECUTION, True)]
)
def test_the_middle_of_the_picture_explains_a_colouring_without_data(paint, layout, state, mode, is_explained):
    commands = Commands((Command("execution", "Watch execution", "Machine", ("g",), lambda _: None),))
    appearance.set_look(state, replace(state.scene.look, mode=mode))
    shown = paint(lambda: notice.draw(state, layout, commands))
    assert (shown[:, 250:650].max() > 100) == is_explained
    state.scene.set_difference(np.zeros(state.scene.page_count, np.uint8))
    state.scene.set_executions(np.zeros(state.scene.page_count, np.uint32))
    assert paint(lambda: notice.draw(state, layout, commands))[:, 250:650].max() < 100
