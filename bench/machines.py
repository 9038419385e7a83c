"""Many machines: what all their daemons use together while nobody asks, and how soon each answers when somebody does."""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack

from qemu_bridge.client import Client
from qemu_bridge.daemon.worker import IDLE_S

from .booted import booted
from .figures import Figure, seconds

GUESTS = 8
MEMORY = 96 << 20
_IDLE_S = 10.0
_MIB = 1 << 20


def measure(rounds: int) -> list[Figure]:
    """Memory and idle processor time of the daemons of eight guests, and the slowest 99th percentile of their ``ps``."""
    with ExitStack() as stack:
        clients = [stack.enter_context(booted(f"bench-{number}", MEMORY)) for number in range(GUESTS)]
        return [*_measure_idle(clients), *_measure_ps(clients, max(100, 10 * rounds))]


def _measure_idle(clients: list[Client]) -> list[Figure]:
    before = [client.status() for client in clients]
    time.sleep(_IDLE_S)
    after = [client.status() for client in clients]
    spent = sum(now.daemon_cpu_s - then.daemon_cpu_s for then, now in zip(before, after, strict=True))
    largest, whole = (function(status.daemon_bytes for status in after) / _MIB for function in (max, sum))
    share = 100 * spent / sum(now.uptime_s - then.uptime_s for then, now in zip(before, after, strict=True)) * GUESTS
    nobody = "nobody has asked about RAM"
    return [
        Figure("a daemon beside its guest's RAM", largest, "MiB", "<= 60", f"the largest of {GUESTS}, {nobody}"),
        Figure("all daemons beside their guests' RAM", whole, "MiB", "", f"{GUESTS} guests, {nobody}"),
        Figure("processor time of all idle daemons", share, "%", "", f"of one processor, {GUESTS} guests"),
    ]


def _measure_ps(clients: list[Client], count: int) -> list[Figure]:
    slowest, first = 0.0, []
    for client in clients:
        first.append(seconds(client.ps))
    for client in clients:
        slowest = max(slowest, statistics.quantiles((seconds(client.ps) for _ in range(count)), n=100)[98])
    workers = sum(client.status().daemon_bytes for client in clients) / _MIB
    detail = f"slowest of {GUESTS} guests, {count} each; the first, which starts the worker: {max(first):.2f} s"
    return [
        Figure("99th percentile of ps, all guests idle", slowest * 1e3, "ms", "<= 250", detail),
        Figure("all daemons with their workers", workers, "MiB", "", f"for {IDLE_S:g} s after the last question"),
    ]
