"""The list of hits."""

from __future__ import annotations

import numpy as np
import pytest

from viewer.app.panels import details
from viewer.app.state import Hits

pytestmark = pytest.mark.usefixtures("no_errors")


def test_hits_are_listed_whatever_stands_there(paint, layout, state):
    for found in (
        None,
        Hits("%s##", np.array([0x45010, 0x45FFF, len(state.source.ram.view) - 1])),
        Hits("none", np.zeros(0, int)),
    ):
        state.hits, state.tab = found, "Hits"
        shown = paint(lambda: details.draw(state, layout))
        assert shown[60:300, 700:].max() > 100
