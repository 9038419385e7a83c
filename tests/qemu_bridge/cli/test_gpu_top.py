"""The screen of ``gpu top``."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

import pytest

from gpu_hypervisor import Hypervisor
from gpu_hypervisor.engine import ClassStats, Stats, TenantUsage
from gpu_hypervisor.scheduler import JobClass
from gpu_hypervisor.service import Server
from qemu_bridge.cli.gpu_top import screen

LONG = "a-machine-with-a-long-name"


def stats(tenants):
    numbers = (3661.0, 3000.0, 123456, 3, 120.0, 300.0, 60 << 20, 1 << 30, 2, 2)
    classes = tuple(ClassStats(name, 0.25, 1) for name in JobClass)
    return Stats("C by cc: 8 lanes in a vector (avx2), 2 threads", *numbers, tuple(tenants), classes)


def usage(name, running=1, share=0.333):
    about = (tuple(JobClass)[1:3], 0, 3, running, 1234, 5, 17, 1.5, 0.0123, 12345.0, 20 << 20, 64 << 20, 3, 4711, 0)
    return TenantUsage(name, 60.0, 0.5, share, *about)


def test_with_room_all_columns_show():
    lines = screen(stats([usage(LONG)]))
    head, row = lines[-2:]
    assert head.split() == ("TENANT CLASS WEIGHT ASKED GOT QUEUE RUN P50 P99 MEMORY REFUSED ENDED FAILED").split()
    assert row.split() == [
        *(
            LONG,
            "interactive,throughput",
            "60",
            "50.0%",
            "33.3%",
            "3",
            "1",
            "0.0123ms",
            "12.3s",
            "20M/64M",
            "17",
            "1234",
            "5",
        ),
    ]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (132, 30), (72, 10)])
def test_a_screen_is_no_wider_and_no_higher_than_the_terminal(width, height):
    own = [usage(f"{LONG}-{number}", running=int(number == 39), share=number / 1000) for number in range(40)]
    lines = screen(stats(own), width, height)
    assert len(lines) < height and max(map(len, lines)) <= width
    head = next(line for line in lines if line.startswith("TENANT"))
    # What the issue of a shared GPU is about shows on any screen.
    assert set("TENANT CLASS ASKED GOT QUEUE RUN P50 P99 MEMORY REFUSED".split()) <= set(head.split())
    assert lines[lines.index(head) + 1].startswith("a-machin"), "the one that runs goes first"
    assert re.fullmatch(r"and \d+ tenants more, of which 0 run", lines[-1])


def test_without_tenants_one_is_told_how_to_get_some():
    assert "--gpu" in screen(stats([]), 80, 24)[-1]


def test_a_terminal_of_80_by_24_shows_a_screen_until_ctrl_c():
    with tempfile.TemporaryDirectory(prefix="gb-") as folder, Hypervisor() as hypervisor:
        with Server(hypervisor, Path(folder, "s")) as server, hypervisor.open_tenant("one"):
            ours, theirs = pty.openpty()
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
            own = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES", "NO_COLOR")}
            words = [
                sys.executable,
                "-m",
                "qemu_bridge.cli",
                "gpu",
                "top",
                "--interval",
                "0.05",
                "--socket",
                str(server.path),
            ]
            with subprocess.Popen(words, stdout=theirs, env=own | {"TERM": "xterm"}) as process:
                os.close(theirs)
                seen = b""
                while seen.count(b"\x1b[H") < 3:
                    assert select.select([ours], [], [], 120)[0]
                    seen += os.read(ours, 1 << 16)
                process.send_signal(signal.SIGINT)
                assert process.wait(60) in (0, 130)
            os.close(ours)
    drawn = re.sub(r"\x1b\[[0-9;]*[mJ]", "", seen.decode().split("\x1b[H")[1]).replace("\r", "").splitlines()
    assert len(drawn) <= 24 and max(map(len, drawn)) <= 80
    assert any(line.startswith("one ") for line in drawn)
