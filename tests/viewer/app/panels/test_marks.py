"""What is written into the picture."""

from __future__ import annotations

import time

import numpy as np
import pytest

from viewer.app import highlighting, selection
from viewer.app.panels import marks
from viewer.app.pick import describe_byte
from viewer.app.state import Message
from viewer.view.labels import Label

pytestmark = pytest.mark.usefixtures("no_errors")


def test_the_selection_highlights_labels_and_messages_each_leave_a_mark(paint, layout, state):
    labels = []

    def body():
        marks.draw(state, layout, labels, 1.0)

    state.messages.clear()
    before = paint(body)
    for change in (
        lambda: selection.select(state, 0x45010),
        lambda: highlighting.highlight_pages(state, "some", np.array([0x80, 0x90]), fly=False),
        lambda: labels.append(Label("heap of init (1)", (255, 0, 0), 500.0, 300.0, True)),
        lambda: state.messages.append(Message("something to read", time.monotonic())),
    ):
        change()
        after = paint(body)
        assert np.abs(after - before).max() > 60
        before = after


def test_the_box_beside_the_cursor_shows_the_bytes(ui, paint, state):
    _, renderer, _ = ui
    renderer.backend.io.add_mouse_pos_event(300, 300)
    nothing = paint(lambda: None)
    shown = paint(lambda: marks.draw_hover(describe_byte(state.scene, state.source.ram, 0x45, 0x10)))
    assert np.abs(shown - nothing)[300:420, 300:700].max() > 60
    renderer.backend.io.add_mouse_pos_event(-1e30, -1e30)
