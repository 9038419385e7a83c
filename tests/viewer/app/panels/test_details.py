"""The tabs at the right."""

from __future__ import annotations

import numpy as np
import pytest

from viewer.app import selection
from viewer.app.panels import details

pytestmark = pytest.mark.usefixtures("no_errors")


@pytest.mark.parametrize("tab", ["Inspector", "Processes", "Overlays", "Views"])
def test_every_tab_draws_something_of_its_own(paint, layout, state, results, tab):
    selection.select(state, 0x45010)
    state.tab = tab
    first = paint(lambda: details.draw(state, layout))
    assert first[60:, 700:].max() > 180
    state.queries._results.clear()
    selection.select(state, None)
    state.tab = tab
    assert np.abs(paint(lambda: details.draw(state, layout))[60:, 700:] - first[60:, 700:]).max() > 60
