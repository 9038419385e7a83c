"""Where panels stand."""

from __future__ import annotations

import pytest

from viewer.app.panels.layout import lay_out


@pytest.mark.parametrize("size", [(1280.0, 760.0), (640.0, 360.0), (300.0, 200.0), (20.0, 20.0)])
def test_panels_never_lie_over_each_other(size):
    layout = lay_out(size, 1.0, True, 430)
    assert layout.left + layout.right <= max(size[0], 1)
    assert layout.middle_width >= 1 and layout.body_height >= 1
    assert abs(layout.shift[0]) <= 1


def test_the_left_panel_gives_way_first():
    wide, narrow = lay_out((1280, 760), 1.0, True, 430), lay_out((500, 760), 1.0, True, 430)
    assert wide.left > 0 and wide.right == 430
    assert narrow.left == 0 and narrow.right > 0
