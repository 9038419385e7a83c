"""What the trace costs the guest: the same work with and without the plugin, disarmed and armed for this and that.

Two machines of one vCPU stand side by side, one without the plugin; the work is run in each in turn. The reader here only
frees chunks, so the figures are those of the producer. `INSTRUCTIONS` of the work are counted by QEMU itself once.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from qemu_bridge.client import Client
from qemu_bridge.images import BuiltImage
from qemu_bridge.launch import launch
from qemu_bridge.machine import MachineConfig
from qemu_bridge.trace.control import ArmOptions, TraceControl
from tcg_plugin.layout import Feature

from .boot import find_image
from .figures import Figure, seconds

WORK = (
    "head -c 12000000 /dev/zero | md5sum; head -c 500000 /bin/busybox | gzip -c | gunzip -c | cksum;"
    " awk 'BEGIN { for (i = 0; i < 100000; i++) { a[i % 512] = a[(i * 7) % 512] + i } print a[3] }';"
    " i=0; while [ $i -lt 3000 ]; do i=$((i + 1)); done"
)
BLOCKS = Feature.BLOCKS | Feature.EVENTS
CASES: tuple[tuple[str, Feature | None, str], ...] = (
    ("disarmed / no plugin", None, "<= 1.03"),
    ("blocks / no plugin", BLOCKS, "<= 1.40"),
    ("memory addresses / no plugin", BLOCKS | Feature.MEMORY, "<= 2.30"),
    ("memory values / no plugin", BLOCKS | Feature.VALUES, "<= 4.50"),
    ("heat / no plugin", Feature.HEAT, ""),
)


def measure(rounds: int) -> list[Figure]:
    """The ratio of each way to trace to no plugin at all."""
    rounds = max(3, rounds // 2)
    image = find_image()
    with _machine("bench-bare", image, "1") as bare, _machine("bench-trace", image, "") as traced:
        count = _count(traced)
        ratios: dict[str, list[float]] = {name: [] for name, *_ in CASES}
        rates = []
        _work(bare), _work(traced)
        for _ in range(rounds):
            yardstick = seconds(lambda: _work(bare))
            for name, features, _target in CASES:
                mine = _traced_seconds(traced, features)
                ratios[name].append(mine / yardstick)
                if features == BLOCKS:
                    rates.append(count / mine / 1e6)
    detail = f"{count / 1e9:.2f} G instructions"
    figures = [
        Figure(f"trace: {name}", statistics.median(ratios[name]), "x", target, detail) for name, _, target in CASES
    ]
    return [*figures, Figure("trace: captured", statistics.median(rates), "M/s", ">= 350", detail)]


@contextlib.contextmanager
def _machine(name: str, image: BuiltImage, no_trace: str) -> Iterator[Client]:
    os.environ["GLASSBOX_NO_TRACE"] = no_trace
    try:
        launch(MachineConfig(name, image.kernel, image.initrd, image.command_line))
    finally:
        del os.environ["GLASSBOX_NO_TRACE"]
    with Client.connect(name) as client:
        try:
            client.wait_until_ready()
            yield client
        finally:
            client.stop()


def _work(client: Client) -> None:
    client.execute(WORK, 300.0)


def _traced_seconds(client: Client, features: Feature | None) -> float:
    if features is None:
        return seconds(lambda: _work(client))
    with _armed(client, features):
        return seconds(lambda: _work(client))


def _count(client: Client) -> int:
    """Instructions of the work, as QEMU counts them."""
    with _armed(client, Feature.BLOCKS | Feature.VERIFY) as control:
        before = control.vcpus[0].instructions
        _work(client)
        return int(control.vcpus[0].instructions - before)


@contextlib.contextmanager
def _armed(client: Client, features: Feature) -> Iterator[TraceControl]:
    """A window with a reader that frees chunks unread."""
    control = TraceControl(Path(client.connection.trace_path))
    stop = threading.Event()

    def free() -> None:
        while not stop.is_set():
            for header in (*control.vcpus, control.dictionary):
                header.tail = header.head
            time.sleep(0.001)

    reader = threading.Thread(target=free)
    client.trace_arm(ArmOptions(features=features))
    reader.start()
    try:
        yield control
    finally:
        client.trace_disarm()
        stop.set()
        reader.join()
        control.close()
