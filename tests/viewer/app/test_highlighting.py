"""Pages that stand out."""

from __future__ import annotations

import numpy as np

from qemu_bridge.wire.records import PageClass
from viewer.app import highlighting


def test_pages_are_highlighted_and_cleared(state):
    highlighting.highlight_pages(
        state, "tables", np.flatnonzero(state.source.entries["page_class"] == PageClass.PAGE_TABLE), fly=True
    )
    assert state.highlight.title == "tables" and state.controller.is_moving
    highlighting.highlight_pages(state, "nothing", np.zeros(0, np.int64), fly=True)
    assert state.highlight is None


def test_a_class_is_highlighted_as_a_whole(state):
    highlighting.highlight_class(state, PageClass.PROCESS_HEAP, fly=False)
    heap = np.flatnonzero(state.source.entries["page_class"] == PageClass.PROCESS_HEAP)
    assert state.highlight.title == "process heap" and np.array_equal(state.highlight.pages, heap)
