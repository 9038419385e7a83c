"""The page map of a 1 GiB guest: made in full against copying its memmap, and refreshed after 1 % of its pages changed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from qemu_bridge.client import Client
from qemu_bridge.introspection.classes import PageMapBuilder
from qemu_bridge.kernel.symbols import KernelSymbols
from qemu_bridge.wire.records import Grade, PageClass

from .booted import booted
from .figures import Figure, paired_medians, seconds

_MEMORY = 1 << 30
_USED_BYTES = 300 << 20
_FILL_BYTES = 180 << 20
_PAIRS, _FILLS, _STEP_S = 24, 8, 0.015
_QUIET = 12
"""Pairs in a row without a change: the file is full, or not begun."""
_LEAST, _MOST = 0.006, 0.015


def measure(rounds: int) -> list[Figure]:
    """Figures of an idle guest, and of one with 300 MiB of files in memory."""
    with booted("bench-map", _MEMORY) as client:
        builder = PageMapBuilder(client.ram, KernelSymbols.load(client.ram))
        first = seconds(lambda: builder.build(Grade.LIVE))
        figures = _measure_state(client, builder, rounds, "idle")
        client.exec(f"dd if=/dev/zero of=/tmp/used bs=1M count={_USED_BYTES >> 20}", 300.0)
        figures += _measure_state(client, builder, rounds, "300 MiB in use")
    detail = "once a boot, with the search for pointers to nameless pages"
    return [*figures, Figure("first page map of all", first * 1e3, "ms", "", detail)]


def _measure_state(client: Client, builder: PageMapBuilder, rounds: int, state: str) -> list[Figure]:
    client.pause()
    builder.build(Grade.PAUSED)
    pages = builder.build(Grade.PAUSED).entries["page_class"] == PageClass.MEMMAP
    memmap = client.ram.pages()[np.flatnonzero(pages)[0] : np.flatnonzero(pages)[-1] + 1]

    def full() -> None:
        builder.forget()
        builder.build(Grade.PAUSED)

    full_s, copy_s, ratio = paired_medians(
        lambda: _processor_seconds(full), lambda: _processor_seconds(lambda: memmap.copy()), max(rounds, 21)
    )
    client.resume()
    refreshes = _refreshes(client, builder, full)
    if not refreshes:
        raise RuntimeError("no refresh saw about 1 % of the pages changed; run this benchmark alone")
    share, refresh_s, full_then_s = (statistics.median(column) for column in zip(*refreshes, strict=True))
    refresh_ratio = statistics.median(refresh / whole for _, refresh, whole in refreshes)
    size = f"{memmap.nbytes >> 20} MiB of memmap"
    return [
        Figure(
            f"full page map / copy of the memmap, {state}",
            ratio,
            "x",
            "<= 10",
            f"{full_s * 1e3:.1f} ms against {copy_s * 1e3:.2f} ms for {size}",
        ),
        Figure(
            f"page map after 1 % changed / full, {state}",
            refresh_ratio,
            "x",
            "<= 0.2",
            f"{refresh_s * 1e3:.2f} ms after {share:.1%}, against {full_then_s * 1e3:.1f} ms, each as the guest has just "
            f"run; {len(refreshes)} pairs",
        ),
    ]


def _refreshes(client: Client, builder: PageMapBuilder, full: Callable[[], object]) -> list[tuple[float, float, float]]:
    """(share of RAM changed, seconds of the refresh, of a full build) while a program in the guest fills a file.

    The guest runs for a moment before each of the two, and leaves the caches of the host to both alike. How long a moment
    is follows from what the last one changed: on a busy host it takes longer.
    """
    found: list[tuple[float, float, float]] = []
    step_s = _STEP_S
    for _ in range(_FILLS):
        client.exec(f"rm -f /tmp/changing; dd if=/dev/zero of=/tmp/changing bs=64k count={_FILL_BYTES >> 16} &", 60.0)
        quiet = 0
        while quiet < _QUIET and len(found) < _PAIRS:
            client.pause()
            before = builder.build(Grade.PAUSED).entries.copy()
            _run(client, step_s)
            spent = _processor_seconds(lambda: builder.build(Grade.PAUSED))
            share = np.count_nonzero(builder.build(Grade.PAUSED).entries != before) / len(before)
            _run(client, step_s)
            pair = share, spent, _processor_seconds(full)
            if _LEAST <= share <= _MOST:
                found.append(pair)
            quiet = quiet + 1 if share < _LEAST / 20 else 0
            if not quiet:
                step_s *= min(max(0.01 / share, 0.8), 1.2)
            client.resume()
        if len(found) == _PAIRS:
            break
    client.exec("rm -f /tmp/changing", 60.0)
    return found


def _run(client: Client, duration_s: float) -> None:
    """Let a paused guest run."""
    client.resume()
    time.sleep(duration_s)
    client.pause()


def _processor_seconds(action: Callable[[], object]) -> float:
    """CPU time of one call: both sides compute in one thread, and other load of the host does not count."""
    started = time.thread_time()
    action()
    return time.thread_time() - started
