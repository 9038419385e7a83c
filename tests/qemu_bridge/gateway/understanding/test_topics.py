"""Each topic answers questions of its own."""

from __future__ import annotations

import pytest

from qemu_bridge.gateway.understanding.topics import TOPICS, TOPICS_WITH_NEGATION


@pytest.mark.parametrize(
    ("question", "command"),
    [
        ("which processes run", "ps demo"),
        ("show crond's heap", "highlight demo comm:crond/heap"),
        ("take a picture", "snap demo -o memory.png"),
    ],
)
def test_a_question_means_a_command(question, command, asked):
    assert (asked(question) or "") == command


def test_only_what_makes_something_of_a_negation_is_asked_with_one(asked):
    assert asked("don't pause the machine") is None and asked("pause the machine") == "pause demo"
    assert {topic.__name__ for topic in TOPICS_WITH_NEGATION} <= {topic.__name__ for topic in TOPICS}
