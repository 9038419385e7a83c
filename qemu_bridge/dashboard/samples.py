"""One machine as the dashboard samples it: status and processor share, processes, events, heat.

Only what is on the screen is asked for. `WatchedMachine.refresh` reads no RAM; `processes` and `heat` do, and have the daemon start its
worker, so the dashboard calls them for the selected machine alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..client import AsyncClient
from ..errors import GlassBoxError, MachineError, MachineGoneError
from ..trace.counters.heat import Heat
from ..wire.connection import Connection
from ..wire.event_records import AnyEvent, ExitedEvent, QmpEvent, RunstateEvent
from ..wire.page_map import PageMap
from ..wire.records import HeatWatch, Process, Status

TIMEOUT_S = 5.0
_LEVELS = " ▁▂▃▄▅▆▇█"
_MOST_OWNERS = 8


class WatchedMachine:
    """One machine that is watched.

    Attributes:
        client: its client; closed by `close`.
        status: the newest status, None before the first.
        share: processor time of QEMU a second of wall time between the last two; None where it is unknown.
        problem: why there is no newer status, as a sentence; empty if there is one.
    """

    def __init__(self, connection: Connection) -> None:
        """Watch the machine of `connection`."""
        self.client = AsyncClient(connection, TIMEOUT_S)
        self.name = connection.name
        self.status: Status | None = None
        self.share: float | None = None
        self.problem = ""
        self._sampled_at = 0.0
        self._heat: tuple[HeatWatch, HeatSampler] | None = None

    async def refresh(self) -> None:
        """Take a new status; `MachineGoneError` when the machine has ended."""
        before, then = self.status, self._sampled_at
        try:
            self.status = await self.client.status()
        except MachineGoneError:
            raise
        except MachineError as error:
            self.problem = str(error)
            return
        self._sampled_at, self.problem = time.monotonic(), ""
        if before is None or before.cpu_s is None or self.status.cpu_s is None:
            self.share = None
        else:
            self.share = max(0.0, (self.status.cpu_s - before.cpu_s) / max(self._sampled_at - then, 1e-3))

    async def processes(self) -> list[Process]:
        """Its processes, those with most memory first. Raises what ``ps`` raises."""
        found = await self.client.ps()
        return sorted(found.value, key=lambda process: (-process.resident_pages, process.pid))

    @property
    def counts_heat(self) -> bool:
        """Whether heat is counted for this dashboard."""
        return self._heat is not None

    async def toggle_heat(self) -> None:
        """Have heat counted, or no longer; `MachineError` without a plugin."""
        if self._heat is None:
            watch = await self.client.heat_watch(os.getpid())
            self._heat = watch, HeatSampler(Heat(Path(watch.path), lambda: None))
        else:
            (watch, _), self._heat = self._heat, None
            await self.client.heat_unwatch(watch.watcher)

    async def heat(self, columns: int) -> HeatSample | None:
        """What was executed and stored to since the last call; None while no heat is counted."""
        if self._heat is None:
            return None
        page_map = (await self.client.page_map()).value
        # Pressing the key meanwhile ends the counting.
        return None if self._heat is None else self._heat[1].sample(page_map, columns)

    def events(self) -> AsyncIterator[AnyEvent]:
        """Its events, the current state first, its end last."""
        return self.client.events()

    async def close(self) -> None:
        """Count no heat for this dashboard, and close the client."""
        if self._heat is not None:
            with contextlib.suppress(GlassBoxError, TimeoutError):
                async with asyncio.timeout(TIMEOUT_S):
                    await self.toggle_heat()
        await self.client.close()


@dataclass(frozen=True, slots=True)
class HeatSample:
    """Heat between two looks.

    Attributes:
        blocks, stores: executed blocks, and stores to RAM, in all.
        executed, stored: RAM from its first byte to its last, a character a column, by how much happened there.
        owners: names of the owners of the hottest pages, and their share of blocks and stores together, largest first.
    """

    blocks: int
    stores: int
    executed: str
    stored: str
    owners: tuple[tuple[str, float], ...]


class HeatSampler:
    """Takes differences of the counters of one machine."""

    def __init__(self, heat: Heat) -> None:
        self._heat = heat
        self._blocks, self._stores = heat.blocks.copy(), heat.stores.copy()

    def sample(self, page_map: PageMap, columns: int) -> HeatSample:
        """What happened since the last call, with the owners that `page_map` knows."""
        now = self._heat.blocks.copy(), self._heat.stores.copy()
        blocks, stores = (now[0] - self._blocks).astype(np.int64), (now[1] - self._stores).astype(np.int64)
        self._blocks, self._stores = now
        return HeatSample(
            int(blocks.sum()),
            int(stores.sum()),
            draw_strip(blocks, columns),
            draw_strip(stores, columns),
            _name_owners(blocks + stores, page_map),
        )


def draw_strip(counts: np.ndarray[tuple[int], np.dtype[np.int64]], columns: int) -> str:
    """`counts` of pages as `columns` characters, each as high as the logarithm of the sum of its pages.

    >>> draw_strip(np.array([0, 0, 1, 1000]), 4)
    '  ▂█'
    """
    columns = max(1, min(columns, len(counts)))
    starts = np.arange(columns) * len(counts) // columns
    heights = np.log1p(np.add.reduceat(counts, starts))
    steps = np.ceil(heights / max(heights.max(), 1e-9) * (len(_LEVELS) - 1)).astype(int)
    return "".join(_LEVELS[step] for step in steps)


def _name_owners(
    counts: np.ndarray[tuple[int], np.dtype[np.int64]], page_map: PageMap
) -> tuple[tuple[str, float], ...]:
    total = int(counts.sum())
    if not total:
        return ()
    by_owner = np.bincount(page_map.entries["owner_id"], weights=counts)
    names: dict[str, float] = {}
    for owner_id in np.flatnonzero(by_owner).tolist():
        owner = page_map.owners.get(owner_id)
        name = "nobody" if owner is None else f"{owner.name} {owner.pid}" if owner.pid else owner.name
        names[name] = names.get(name, 0.0) + float(by_owner[owner_id]) / total
    return tuple(sorted(names.items(), key=lambda row: -row[1])[:_MOST_OWNERS])


def describe_event(event: AnyEvent) -> str:
    """An event in a few words."""
    if isinstance(event, RunstateEvent):
        return event.runstate.value
    if isinstance(event, QmpEvent):
        return f"QEMU: {event.name}"
    if isinstance(event, ExitedEvent):
        return f"ended: {event.reason}"
    return "user space is up"
