"""The menu bar."""

from __future__ import annotations

import pytest

from viewer.app.commands import Commands
from viewer.app.panels import menu

pytestmark = pytest.mark.usefixtures("no_errors")


def test_the_bar_names_its_menus_and_the_machine(paint, state):
    shown = paint(lambda: menu.draw(state, Commands()))
    assert shown[:26, :300].max() > 180
    assert shown[:26, 800:].max() > 100
    assert shown[100:].max() < 60
