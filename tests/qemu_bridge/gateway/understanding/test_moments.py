"""Questions about moments."""

from __future__ import annotations

import pytest

from qemu_bridge.gateway.understanding import StaticNames, understand


@pytest.mark.parametrize(
    ("question", "command"),
    [
        ("what changed since the last checkpoint", "compare before demo"),
        ("compare with before", "compare before demo"),
        ("take a snapshot before I break it", "capture demo -o checkpoint-1"),
        ("which pages changed since epoch 3", "dirty demo --since 3"),
        ("what changed", ""),
    ],
)
def test_a_question_means_a_command(question, command, asked):
    assert (asked(question) or "") == command


def test_without_a_capture_it_is_said_that_one_is_needed():
    unsure = understand("what changed since the last checkpoint", StaticNames())
    assert "no capture" in unsure.reason and unsure.alternatives[0].words[0] == "capture"


def test_a_name_that_is_a_common_word_is_kept(asked):
    assert asked("Take a capture named now.") == "capture demo -o now"
