"""Questions about processes."""

from __future__ import annotations

import pytest

from qemu_bridge.gateway.understanding import KnownProcess, StaticNames, understand


@pytest.mark.parametrize(
    ("question", "command"),
    [
        ("which process uses the most memory", "overlay demo processes --sort resident_pages --reverse --first 1"),
        ("children of init", "overlay demo processes --where parent_pid=1"),
        ("tcp sockets of nc", "overlay demo sockets --where 'protocol=tcp*' --where pids=98"),
        ("what is crond doing", "overlay demo kernel-stacks --where name=crond"),
        ("is crond running", "overlay demo processes --where name=crond"),
    ],
)
def test_a_question_means_a_command(question, command, asked):
    assert asked(question) == command


def test_several_processes_of_one_name_are_asked_back():
    names = StaticNames(processes=[KnownProcess(5, 1, "sh"), KnownProcess(6, 1, "sh")])
    unsure = understand("memory map of sh", names)
    assert [request.words[-1] for request in unsure.alternatives] == ["5", "6"]
