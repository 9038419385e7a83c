"""What stands out."""

from __future__ import annotations

import numpy as np

from viewer.app import glow, highlighting


def test_a_target_is_asked_for_and_nothing_stands_out_any_more_when_cleared(state):
    glow.highlight_target(state, "pid:1", "init (1)", fly=False)
    answer = state.queries.result(glow.HIGHLIGHT)
    assert answer.key == "pid:1" and "no daemon" in answer.error
    highlighting.highlight_pages(state, "some", np.array([0x45]), fly=False)
    assert state.scene.highlighted == ("some", 1)
    glow.clear_highlight(state)
    assert state.highlight is None and not state.scene.page_style.has_marks
