"""What the dashboard samples, against the machine itself."""

import asyncio
import time

import numpy as np
import pytest

from qemu_bridge.dashboard.samples import HeatSampler, WatchedMachine, describe_event, draw_strip
from qemu_bridge.errors import MachineGoneError
from qemu_bridge.wire.event_records import ExitedEvent, QmpEvent, ReadyEvent, RunstateEvent
from qemu_bridge.wire.page_map import ENTRY, PageMap
from qemu_bridge.wire.records import Owner, Runstate


def test_a_strip_is_as_high_as_the_logarithm_of_what_happened():
    assert draw_strip(np.array([0, 0, 1, 1000]), 4) == "  ▁█"
    assert draw_strip(np.array([0, 0, 0]), 8) == "   "
    assert draw_strip(np.array([5, 5, 0, 0, 5, 5]), 3) == "█ █"
    assert len(draw_strip(np.arange(1000), 37)) == 37


def test_an_event_is_some_words():
    assert describe_event(RunstateEvent("a", 0.0, Runstate.PAUSED, True)) == "paused"
    assert describe_event(QmpEvent("a", 0.0, "RESET", {})) == "QEMU: RESET"
    assert describe_event(ReadyEvent("a", 0.0)) == "user space is up"
    assert describe_event(ExitedEvent("a", 0.0, "the guest powered off")) == "ended: the guest powered off"


class Counted:
    def __init__(self, pages):
        self.blocks, self.stores = np.zeros(pages, np.uint32), np.zeros(pages, np.uint32)


def test_heat_is_what_happened_since_the_last_look_also_where_a_counter_wraps():
    heat = Counted(4)
    heat.blocks[:] = 2**32 - 1
    sampler = HeatSampler(heat)
    heat.blocks[1] = 2
    heat.stores[2] = 1
    entries = np.zeros(4, ENTRY)
    entries["owner_id"] = [0, 1, 2, 0]
    page_map = PageMap(entries, {1: Owner(1, 7, "sh"), 2: Owner(2, 0, "kernel", "kernel")})
    found = sampler.sample(page_map, 4)
    assert (found.blocks, found.stores, found.owners) == (3, 1, (("sh 7", 0.75), ("kernel", 0.25)))
    assert found.executed == " █  " and found.stored == "  █ "
    assert sampler.sample(page_map, 4).owners == ()


@pytest.mark.guest
def test_a_machine_tells_its_share_of_a_processor_its_processes_and_its_heat(machine):
    async def run():
        watched = WatchedMachine(machine.client.connection)
        try:
            await watched.refresh()
            assert watched.share is None and await watched.heat(20) is None
            # Short processes come and go, so both look at the same moment.
            with machine.paused():
                processes, there = await watched.processes(), machine.client.ps()
            await watched.toggle_heat()
            machine.exec("i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done")
            heat = await watched.heat(20)
            await watched.refresh()
        finally:
            await watched.close()
        return (processes, there), heat, watched.share

    tables, heat, share = asyncio.run(run())
    users = [{process.pid for process in found if process.page_table} for found in tables]
    assert users[0] <= users[1] and 1 in users[0]
    sizes = [process.resident_pages for process in tables[0]]
    assert sizes == sorted(sizes, reverse=True)
    assert heat.blocks > 10_000 and heat.stores > 1000 and heat.owners and len(heat.executed) == 20
    assert share > 0
    assert not machine.client.trace_status().heat


@pytest.mark.guest
def test_a_machine_that_has_ended_is_told_and_one_that_does_not_answer_has_a_problem(victim, monkeypatch):
    async def run():
        watched = WatchedMachine(victim.connection)
        watched.client._timeout_s = 0.0
        await watched.refresh()
        assert "did not answer" in watched.problem
        watched.client._timeout_s = 60.0
        await watched.refresh()
        assert watched.status.runstate == "prelaunch" and not watched.problem
        await asyncio.to_thread(victim.stop)
        with pytest.raises(MachineGoneError):
            begun = time.monotonic()
            while time.monotonic() < begun + 30:
                await watched.refresh()
        await watched.close()

    asyncio.run(run())
