"""The page map of a 1 GiB guest: made in full against copying its memmap, and refreshed after 1 % of its pages changed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from qemu_bridge.classify import PageMapBuilder
from qemu_bridge.client import Client
from qemu_bridge.launch import launch
from qemu_bridge.machine import MachineConfig
from qemu_bridge.protocol import Grade, PageClass
from qemu_bridge.symbols import KernelSymbols

from .boot import find_image
from .figures import Figure, paired_medians, seconds

_MEMORY = 1 << 30
_USED_BYTES = 300 << 20
_FILL_BYTES = 180 << 20
_FILL_S, _STEP_S = 6.0, 0.03


def measure(rounds: int) -> list[Figure]:
    """Figures of an idle guest, and of one with 300 MiB of files in memory."""
    image = find_image()
    launch(MachineConfig("bench-map", image.kernel, image.initrd, image.command_line, memory=_MEMORY, image=image.name))
    with Client.connect("bench-map") as client:
        try:
            client.wait_until_ready()
            builder = PageMapBuilder(client.ram, KernelSymbols.load(client.ram))
            first = seconds(lambda: builder.build(Grade.LIVE))
            figures = _measure_state(client, builder, rounds, "idle")
            client.execute(f"dd if=/dev/zero of=/tmp/used bs=1M count={_USED_BYTES >> 20}", 300.0)
            figures += _measure_state(client, builder, rounds, "300 MiB in use")
        finally:
            client.stop()
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
    refreshes = _refreshes(client, builder)
    share, refresh_s = (
        (statistics.median(column) for column in zip(*refreshes, strict=True)) if refreshes else (0.0, 0.0)
    )
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
            refresh_s / full_s,
            "x",
            "<= 0.2",
            f"{refresh_s * 1e3:.1f} ms after {share:.1%}, against {full_s * 1e3:.1f} ms; {len(refreshes)} refreshes",
        ),
    ]


def _refreshes(client: Client, builder: PageMapBuilder) -> list[tuple[float, float]]:
    """(share of RAM changed, seconds) of refreshes while one program in the guest fills a file, stopped again and again."""
    client.execute(
        f"rm -f /tmp/changing; (sleep 1; dd if=/dev/zero of=/tmp/changing bs=64k count={_FILL_BYTES >> 16}) &", 60.0
    )
    time.sleep(0.5)
    builder.build(Grade.LIVE)
    found: list[tuple[float, float]] = []
    deadline = time.monotonic() + _FILL_S
    while time.monotonic() < deadline:
        client.pause()
        before = builder.build(Grade.PAUSED).entries.copy()
        client.resume()
        time.sleep(_STEP_S)
        client.pause()
        spent = _processor_seconds(lambda: builder.build(Grade.PAUSED))
        changed = np.count_nonzero(builder.build(Grade.PAUSED).entries != before)
        client.resume()
        found.append((changed / len(before), spent))
    client.execute("rm -f /tmp/changing", 60.0)
    return [(share, spent) for share, spent in found if 0.005 <= share <= 0.02]


def _processor_seconds(action: Callable[[], object]) -> float:
    """Processor time of one call: both sides compute in one thread, and what else the host does is no part of it."""
    started = time.thread_time()
    action()
    return time.thread_time() - started
