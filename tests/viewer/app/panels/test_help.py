"""The list of keys."""

from __future__ import annotations

import numpy as np
import pytest

from viewer.app.commands import Commands
from viewer.app.panels import help

pytestmark = pytest.mark.usefixtures("no_errors")


def test_the_list_of_keys_lies_over_the_picture(paint, layout, state):
    plain = paint(lambda: None)
    state.is_help_open = True
    shown = paint(lambda: help.draw(state, layout, Commands()))
    assert np.abs(shown - plain)[100:600, 250:650].max() > 100
    assert state.is_help_open
