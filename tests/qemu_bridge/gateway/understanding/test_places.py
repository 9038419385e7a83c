"""Questions about single bytes."""

from __future__ import annotations

import pytest

from qemu_bridge.gateway.understanding import understand


@pytest.mark.parametrize(
    ("question", "command"),
    [
        ("go to 0xffffffff81000000", "fly-to demo va:0xffffffff81000000"),
        ("who owns 0x1000", "identify demo 0x1000"),
        ("what is page frame 5", "identify demo 0x5000"),
        ("read 64 bytes of init_task", "peek demo init_task 64"),
        ("hexdump va 0x7ffd1000 in crond", "peek demo va:0x7ffd1000@pid:97 256"),
        ("32 bytes at va:0x7ffd1000@pid:97", "peek demo va:0x7ffd1000@pid:97 32"),
        ("dump 1.5 KiB at 0x1000", "peek demo 0x1000 1536"),
        ('find the regex "a+b"', "find demo --regex a+b"),
        ("find the bytes 4d 5a 90 in ram", "find demo --hex 4d5a90"),
        ("value of jiffies", ""),
        ("read 64 bytes of nosuch", ""),
    ],
)
def test_a_question_means_a_command(question, command, asked):
    assert (asked(question) or "") == command


def test_bytes_at_a_virtual_address_are_read_in_its_space(names):
    arguments = understand("16 bytes at va:0x7ffd1000@pid:97", names).arguments
    assert arguments == {"ranges": ((0x7FFD1000, 16),), "space": "virtual", "pid": 97}
