"""Questions about pictures and viewers."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("question", "command"),
    [
        ("take a picture", "snap demo -o memory.png"),
        ("and take a picture to /tmp/a.png", "snap demo -o /tmp/a.png"),
        ("record a 10 second video", "record-video demo -o memory.mp4 --seconds 10"),
        ("colour by age", "fly-to demo mode=age"),
        ("unhighlight", "highlight demo"),
        ("which viewers are open", "viewers demo"),
        ("reset the camera", ""),
    ],
)
def test_a_question_means_a_command(question, command, asked):
    assert (asked(question) or "") == command
