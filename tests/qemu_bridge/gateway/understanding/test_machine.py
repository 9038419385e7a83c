"""Questions about the machine itself."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("question", "command"),
    [
        ("uptime", "status demo"),
        ("show the console", "console demo"),
        ("pause the machine", "pause demo"),
        ("let it run again", "resume demo"),
        ("run 'uname -a' in the guest", "exec demo 'uname -a'"),
        ("stop", ""),
        ("which machines are there", "status"),
    ],
)
def test_a_question_means_a_command(question, command, asked):
    assert (asked(question) or "") == command
