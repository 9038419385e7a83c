"""Questions about what processes have."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("question", "command"),
    [
        ("tcp sockets of nc", "overlay demo sockets --where 'protocol=tcp*' --where pids=98"),
        ("open files of syslogd", "overlay demo open-files --where pid=96"),
        ("memory map of init", "maps demo 1"),
        ("who has /var/log/messages open", "overlay demo open-files --where path=/var/log/messages"),
        ("which ports does nc have open", "overlay demo sockets --where state=LISTEN --where pids=98"),
        ("close all sockets", ""),
    ],
)
def test_a_question_means_a_command(question, command, asked):
    assert (asked(question) or "") == command
