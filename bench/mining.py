"""Speed of trace analysis: ``trace top`` and ``trace check`` over a boot, in instructions of the trace a second, whole process."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from qemu_bridge.cli.trace_boot import start_recorder
from qemu_bridge.client import Client
from qemu_bridge.machine.config import MachineConfig
from qemu_bridge.trace.file.reader import TraceReader

from .boot import find_image
from .figures import Figure, seconds

_WAIT_S = 30.0
_VERBS: dict[str, tuple[tuple[str, ...], str]] = {
    "trace top": (("top",), ">= 300"),
    "trace top, one thread": (("top", "--workers", "1"), ""),
    "trace check": (("check",), ">= 100"),
}
"""Arguments and target of each figure."""


def measure(rounds: int) -> list[Figure]:
    """Instructions a second: the verbs as they are typed, from the start of Python to its end."""
    with tempfile.TemporaryDirectory(prefix="gb-") as folder:
        path = Path(folder) / "boot.gbt"
        count = _record_boot(path)
        size = path.stat().st_size
        speeds: dict[str, list[float]] = {name: [] for name in _VERBS}
        for _ in range(max(3, rounds)):
            for name, (words, _) in _VERBS.items():
                speeds[name].append(count / seconds(lambda words=words: _run(words, path)) / 1e6)
    boot = Figure("mining: trace of a boot", size / count, "B/insn", "<= 0.02", f"{count / 1e9:.2f} G instructions")
    detail = f"{count / 1e9:.2f} G instructions, whole process"
    return [boot] + [
        Figure(f"mining: {name}", statistics.median(found), "M/s", _VERBS[name][1], detail)
        for name, found in speeds.items()
    ]


def _record_boot(path: Path) -> int:
    """Boot and stop a machine that is traced from its first instruction; returns the instructions of the trace."""
    image = find_image()
    start_recorder(MachineConfig("bench-mining", image.kernel, image.initrd, image.command_line), path)
    with Client.connect("bench-mining") as client:
        client.wait_ready()
        client.stop()
    # The recorder writes its index once the machine is gone.
    end = time.monotonic() + _WAIT_S
    while True:
        with TraceReader(path) as trace:
            if trace.info.is_complete or time.monotonic() > end:
                return trace.info.instructions
        time.sleep(0.1)


def _run(words: tuple[str, ...], path: Path) -> None:
    verb, *rest = words
    command = [sys.executable, "-m", "qemu_bridge.cli", "trace", verb, str(path), *rest]
    subprocess.run(command, check=True, capture_output=True)
