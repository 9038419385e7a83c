"""Questions about processes."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("question", "command"),
    [
        ("which process uses the most memory", "overlay demo processes --sort resident_pages --reverse --first 1"),
        ("children of init", "overlay demo processes --where parent_pid=1"),
        ("parent of pid 97", "overlay demo processes --where pid=1"),
        ("what is crond doing", "overlay demo kernel-stacks --where name=crond"),
        ("is crond running", "overlay demo processes --where name=crond"),
    ],
)
def test_a_question_means_a_command(question, command, asked):
    assert asked(question) == command


def test_a_process_that_is_not_there_has_no_parent(asked):
    assert asked("who is the parent of pid 100") is None
