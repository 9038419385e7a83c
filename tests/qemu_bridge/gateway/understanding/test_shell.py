"""Command lines of a guest's own tools are questions too."""

from __future__ import annotations

import pytest

from qemu_bridge.gateway.understanding.shell import to_words


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("ps aux", "ps demo"),
        ("ps -ef", "ps demo"),
        ("ps aux | grep sshd", "overlay demo processes --where name=sshd"),
        ("ps -e | wc -l", "overlay demo processes --count"),
        ("ss -tlnp", "overlay demo sockets --where 'protocol=tcp*' --where state=LISTEN"),
        ("netstat -an", "overlay demo sockets"),
        ("lsof -p 98", "overlay demo open-files --where pid=98"),
        ("cat /proc/97/maps", "maps demo 97"),
        ("ls -l /proc/97/fd", "overlay demo open-files --where pid=97"),
        ("dmesg -l err", "overlay demo dmesg --where level=err"),
        ("dmesg | tail -3", "overlay demo dmesg --last 3"),
        ("lsmod | grep vfat", "overlay demo modules --where name=vfat"),
        ("free -h", "resolve demo free --total"),
        ("pmap 97", "maps demo 97"),
    ],
)
def test_a_command_line_means_a_command(line, command, asked):
    assert asked(line) == command


@pytest.mark.parametrize(
    "line",
    [
        "ps --forest-fire",
        "rm -rf /",
        "kill -9 97",
        "ss -Z",
        "lsof -p",
        "ps | sort",
        "cat /etc/passwd",
        "show sockets",
        "ps 'x",
    ],
)
def test_what_is_no_command_line_or_has_other_options_is_not_put_into_words(line):
    assert to_words(line) == ""
