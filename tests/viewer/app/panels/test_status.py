"""The status bar."""

from __future__ import annotations

import numpy as np
import pytest

from qemu_bridge.errors import MachineGoneError
from qemu_bridge.wire.records import Runstate
from viewer.app import highlighting, selection
from viewer.app.panels import status
from viewer.app.panels.status import parts, runstate
from viewer.app.panels.theme import WARN

pytestmark = pytest.mark.usefixtures("no_errors")


def texts(state):
    return [text for text, _ in parts(state)]


def test_the_bar_is_drawn_along_the_bottom(paint, layout, state):
    shown = paint(lambda: status.draw(state, layout))
    assert shown[-26:].max() > 100 and shown[100:-40].max() < 60


def test_it_tells_runstate_rate_resolution_and_what_is_selected(state):
    state.active.runstate, state.is_idle, state.drawn_size = Runstate.RUNNING, True, (640, 360)
    assert texts(state)[:4] == ["synthetic: running", "idle", "640 x 360", "orbit"]
    highlighting.highlight_pages(state, "heap", np.array([0x45, 0x46]), fly=False)
    assert texts(state)[-1] == "heap: 2 pages"
    selection.select(state, 0x45010)
    assert "page 0x45 + 0x010" in texts(state)[-1]


def test_a_machine_that_has_ended_is_a_warning(state):
    state.watcher._error = MachineGoneError("it has ended")
    assert runstate(state) == ("synthetic: gone", WARN)
