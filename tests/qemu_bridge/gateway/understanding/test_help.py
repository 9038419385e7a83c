"""Questions about asking."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("question", "command"),
    [
        ("help", "ask demo --examples"),
        ("which overlays exist", "call demo overlays"),
        ("is crond there", "overlay demo processes --where name=crond"),
        ("crond", ""),
        ("what is busybox", ""),
    ],
)
def test_a_question_means_a_command(question, command, asked):
    assert (asked(question) or "") == command
