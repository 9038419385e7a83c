"""Reading guest RAM in place against reading ordinary memory, and finding changed pages."""

from __future__ import annotations

import statistics

import numpy as np

from qemu_bridge.memory.dirty import Comparison

from .booted import booted
from .figures import Figure, paired_medians, seconds


def measure(rounds: int) -> list[Figure]:
    """Copy throughput of touched guest pages and of as many bytes of ordinary memory, and a look for dirty pages."""
    with booted("bench-ram") as client:
        client.pause()
        start, end = max(client.ram.resident_runs(), key=lambda run: run[1] - run[0])
        guest = client.ram.view[start:end]
        ordinary = guest.copy()
        target = np.empty_like(ordinary)
        looks = Comparison(client.ram)
        looks.collect()
        touched = int(client.ram.resident_pages().sum()) << 12
        ours, theirs, ratio = paired_medians(
            lambda: seconds(lambda: np.copyto(target, guest)),
            lambda: seconds(lambda: np.copyto(target, ordinary)),
            max(rounds, 21),
        )
        look = statistics.median(seconds(looks.collect) for _ in range(rounds))
    size = end - start
    return [
        Figure(
            "guest RAM read / NumPy copy",
            1 / ratio,
            "x",
            ">= 0.9",
            f"{size / ours / 1e9:.1f} GB/s against {size / theirs / 1e9:.1f} GB/s over {size >> 20} MiB",
        ),
        Figure(
            "look for dirty pages",
            look * 1e3,
            "ms",
            "",
            f"comparison of {touched >> 20} MiB touched, {touched / look / 1e9:.1f} GB/s",
        ),
    ]
