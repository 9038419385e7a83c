"""Learned loops: a guest's checksums with the loops of a trace run in place, and by QEMU alone; on the private QEMU 11.

The trace is of the same tools over a smaller file, in a machine without learned loops. The machine that has them then does the same work with and without
them in turn, and QEMU's CPU time is compared, without what an empty command takes: it holds on a busy host. What learned loops cost a guest that enters none
is compared with the other machine.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from pixel_cpu.learn.loop_library import LearnedLoop, write_library
from pixel_cpu.learn.mine import find_loops
from pixel_cpu.learn.native import build_library
from qemu_bridge.client import Client
from qemu_bridge.machine.config import MachineConfig
from qemu_bridge.machine.debian_qemu import find_or_build_private_qemu
from qemu_bridge.machine.launch import launch
from qemu_bridge.trace.analysis.mining import mine
from qemu_bridge.trace.recording.control import TraceControl
from tcg_plugin.layout import Learned

from .boot import find_image
from .figures import Figure
from .learned_batch import figures as lane_figures

PREPARE = "echo 0 > /proc/sys/kernel/randomize_va_space; for i in $(seq 90); do cat /bin/busybox; done | head -c 67108864 > /tmp/file"
TOOLS = "(while :; do for tool in cksum md5sum sha256sum sha512sum; do $tool /bin/busybox; done; done) > /dev/null 2>&1 & echo $!"
TRACE_S = "3"
WORK = {
    "sha256sum": ("sha256sum /tmp/file", ">= 2.5"),
    "md5sum": ("md5sum /tmp/file", ""),
    "cksum": ("cksum /tmp/file", ""),
}
"""Command, and how many times as long QEMU alone is to take."""
OTHER_WORK = "awk 'BEGIN { for (i = 0; i < 300000; i++) a[i % 512] += i; print a[3] }'"
_MEMORY = 192 << 20


def measure(rounds: int) -> list[Figure]:
    """How much faster a guest is with learned loops."""
    qemu = str(find_or_build_private_qemu(lambda line: print(line, file=sys.stderr)))
    with (
        mock.patch.dict(os.environ, {"GLASSBOX_QEMU": qemu}),
        tempfile.TemporaryDirectory(prefix="gb-") as folder,
        _machine("bench-plain") as plain,
    ):
        lanes = lane_figures(_learn(plain, Path(folder)))
        with _machine("bench-learned", build_library(Path(folder)).paths) as learned:
            for command, _ in WORK.values():
                learned.exec(command, 300.0)  # kernels prove themselves in shadow first
            figures = [_switch(name, *WORK[name], learned, max(3, rounds)) for name in WORK]
            figures.append(
                _compare("work without a learned loop", OTHER_WORK, ">= 0.91", plain, learned, max(3, rounds))
            )
            done = max(learned.learned(), key=lambda loop: loop.rounds)
            wrong = sum(loop.mismatches for loop in learned.learned())
    detail = f"{done.rounds / 1e6:.0f} M rounds, {done.seconds * 1e9 / max(done.rounds, 1):.1f} ns each in place"
    return [*figures, Figure("learned: kernels that differed", wrong, "", "<= 0", detail), *lanes]


def _switch(name: str, command: str, target: str, client: Client, rounds: int) -> Figure:
    """A command with learned loops on and off in turn, in one machine."""
    control = TraceControl(Path(client.connection.trace_path))
    times: dict[Learned, list[float]] = {Learned.OFF: [], Learned.UNPROVED: []}
    answers = set()
    empty = statistics.median(_cpu_seconds(client, "true") for _ in range(5))
    try:
        for _ in range(rounds):
            for wanted, found in times.items():
                control.block.learned_wanted = wanted
                before = client.status().cpu_s or 0.0
                answers.add(client.exec(command, 300.0).output)
                found.append((client.status().cpu_s or 0.0) - before)
    finally:
        control.block.learned_wanted = Learned.UNPROVED
        control.close()
    if len(answers) != 1:
        raise RuntimeError(f"{command} says {answers}")
    alone, in_place = (statistics.median(found) - empty for found in times.values())
    return Figure(
        f"learned: {name}, QEMU / in place", alone / in_place, "x", target, f"{alone:.2f} s, {in_place:.2f} s"
    )


def _compare(name: str, command: str, target: str, plain: Client, learned: Client, rounds: int) -> Figure:
    answers = {client.exec(command, 300.0).output for client in (plain, learned)}
    if len(answers) != 1:
        raise RuntimeError(f"{command} says {answers}")
    ratios = [_cpu_seconds(plain, command) / _cpu_seconds(learned, command) for _ in range(rounds)]
    return Figure(f"learned: {name}, QEMU / in place", statistics.median(ratios), "x", target, command)


def _cpu_seconds(client: Client, command: str) -> float:
    before = client.status().cpu_s or 0.0
    client.exec(command, 300.0)
    return (client.status().cpu_s or 0.0) - before


def _learn(client: Client, folder: Path) -> Iterator[LearnedLoop]:
    """Trace the tools, and write the library of their loops into `folder`, loop by loop."""
    worker = int(client.exec(TOOLS, 60.0).output)
    path = folder / "work.gbt"
    command = [sys.executable, "-m", "qemu_bridge.cli", "trace", client.name, "-o", str(path), "--seconds", TRACE_S]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=120)
    client.exec(f"kill {worker}", 60.0)
    with mine(path) as found:
        yield from write_library(folder, find_loops(found, count=16))


@contextmanager
def _machine(name: str, learned: tuple[Path, ...] = ()) -> Iterator[Client]:
    image = find_image()
    launch(
        MachineConfig(
            name, image.kernel, image.initrd, image.command_line, memory=_MEMORY, learned=learned, unproved=True
        )
    )
    with Client.connect(name) as client:
        try:
            client.wait_ready()
            client.exec(PREPARE, 120.0)
            yield client
        finally:
            client.stop()
