"""How fast a trace is counted: ``trace top`` over a boot, in instructions of the trace a second."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

from qemu_bridge.cli.trace import start_recorder
from qemu_bridge.client import Client
from qemu_bridge.machine import MachineConfig
from qemu_bridge.trace.mining import mine
from qemu_bridge.trace.reader import TraceReader

from .boot import find_image
from .figures import Figure, seconds

_WAIT_S = 30.0


def measure(rounds: int) -> list[Figure]:
    """Instructions a second with as many processes as there are cores, and with one."""
    with tempfile.TemporaryDirectory(prefix="gb-") as folder:
        path = Path(folder) / "boot.gbt"
        count = _record_boot(path)
        speeds: dict[int, list[float]] = {os.cpu_count() or 1: [], 1: []}
        for _ in range(max(3, rounds // 2)):
            for workers, found in speeds.items():
                found.append(count / seconds(lambda workers=workers: _top(path, workers)) / 1e6)
    detail = f"{count / 1e9:.2f} G instructions"
    return [
        Figure(
            f"mining: trace top, {workers} processes", statistics.median(found), "M/s", ">= 300" * (workers > 1), detail
        )
        for workers, found in speeds.items()
    ]


def _record_boot(path: Path) -> int:
    """Boot and stop a machine that is traced from its first instruction; returns the instructions of the trace."""
    image = find_image()
    start_recorder(MachineConfig("bench-mining", image.kernel, image.initrd, image.command_line), path)
    with Client.connect("bench-mining") as client:
        client.wait_until_ready()
        client.stop()
    # The recorder writes its index once the machine is gone.
    end = time.monotonic() + _WAIT_S
    while True:
        with TraceReader(path) as trace:
            if trace.info.is_complete or time.monotonic() > end:
                return trace.info.instructions
        time.sleep(0.1)


def _top(path: Path, workers: int) -> None:
    with mine(path, workers) as found:
        found.blocks(10), found.paths(10), found.roots()
