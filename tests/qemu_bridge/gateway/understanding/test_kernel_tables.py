"""Questions about whole tables of the kernel's."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("question", "command"),
    [
        ("loaded modules", "modules demo"),
        ("what is fat used by", "overlay demo modules --where name=fat"),
        ("last 20 kernel messages", "overlay demo dmesg --last 20"),
        ("what is mounted on /proc", "overlay demo mounts --where point=/proc"),
        ("slab caches", "overlay demo slabs"),
        ("which files are cached", "overlay demo page-cache"),
        ("kernel version", "call demo kernel"),
        ("all files", ""),
    ],
)
def test_a_question_means_a_command(question, command, asked):
    assert (asked(question) or "") == command
