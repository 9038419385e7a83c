"""Questions about traces."""

from __future__ import annotations

import pytest

from qemu_bridge.gateway.understanding import StaticNames, understand


@pytest.mark.parametrize(
    ("question", "command"),
    [
        ("trace for 3 seconds", "trace demo -o trace.gbt --seconds 3"),
        ("stop tracing", "call demo trace_disarm"),
        ("hottest functions", "trace top demo.gbt --symbols demo"),
        ("trace system calls", ""),
    ],
)
def test_a_question_means_a_command(question, command, asked):
    assert (asked(question) or "") == command


def test_without_a_trace_it_is_said_that_one_is_needed():
    assert "trace" in understand("hottest functions", StaticNames()).reason
