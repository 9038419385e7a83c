"""The panels together."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("no_errors")


def test_panels_open_and_close_and_the_picture_moves_into_what_is_left(screen):
    wide = screen.window.gui.layout()
    assert wide.left > 0
    shown = screen.draw(3)
    screen.state.open_panel("layers", False)
    hidden = screen.draw(3)
    assert screen.window.gui.layout().left == 0
    assert np.abs(shown.astype(int) - hidden)[100:600, :200].max() > 100
    screen.state.open_panel("layers")
    assert screen.window.gui.layout() == wide


def test_the_pointer_over_a_panel_is_the_panels(screen):
    screen.send("pointer_move", x=60.0, y=300.0)
    screen.draw()
    assert screen.window.gui.wants_mouse
    screen.send("pointer_leave")
    screen.draw(2)
    assert not screen.window.gui.wants_mouse
