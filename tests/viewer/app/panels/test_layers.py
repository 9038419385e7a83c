"""The legend as a panel."""

from __future__ import annotations

import numpy as np
import pytest

from qemu_bridge.wire.records import PageClass
from viewer.app import appearance
from viewer.app.panels import layers

pytestmark = pytest.mark.usefixtures("no_errors")


def test_a_hidden_class_is_drawn_as_an_outline(paint, layout, state):
    shown = paint(lambda: layers.draw(state, layout))
    assert shown[30:, : int(layout.left)].max() > 180
    appearance.toggle(state, [PageClass.KERNEL_TEXT])
    assert np.abs(paint(lambda: layers.draw(state, layout)) - shown)[30:, : int(layout.left)].max() > 60
