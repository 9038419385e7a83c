"""Questions about the machine, the kernel, moments and pictures."""

from __future__ import annotations

import pytest

from qemu_bridge.gateway.understanding import StaticNames, understand


@pytest.mark.parametrize(
    ("question", "command"),
    [
        ("last 20 kernel messages", "overlay demo dmesg --last 20"),
        ("what changed since the last checkpoint", "compare before demo"),
        ("fields of mm_struct", "call demo type_layout name=mm_struct"),
        ("trace for 3 seconds", "trace demo -o trace.gbt --seconds 3"),
        ("take a picture", "snap demo -o memory.png"),
    ],
)
def test_a_question_means_a_command(question, command, asked):
    assert asked(question) == command


def test_without_a_capture_it_is_said_that_one_is_needed():
    unsure = understand("what changed since the last checkpoint", StaticNames())
    assert "no capture" in unsure.reason and unsure.alternatives[0].words[0] == "capture"


def test_without_a_trace_it_is_said_that_one_is_needed():
    assert "trace" in understand("hottest functions", StaticNames()).reason
