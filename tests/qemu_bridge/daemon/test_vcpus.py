"""vCPUs that clients pause and resume while the daemon holds them."""

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qemu_bridge.daemon.state import MachineState
from qemu_bridge.daemon.vcpus import Vcpus
from qemu_bridge.errors import MachineError
from qemu_bridge.wire.records import Runstate


class Qemu:
    """What runs the vCPUs, and sends its events to the state as the service does."""

    def __init__(self, is_running=True):
        self.running = is_running
        self.state = MachineState("demo", is_static=False, ready=True)
        self.state.set_running(is_running)
        self.announced = []
        self.vcpus = Vcpus(self, self.state, self.announce)

    async def announce(self):
        self.announced.append(self.state.runstate)

    async def is_running(self):
        return self.running

    async def stop(self):
        await asyncio.sleep(0)
        if self.running:
            self.running = False
            await self.send(False)

    async def cont(self):
        await asyncio.sleep(0)
        if not self.running:
            self.running = True
            await self.send(True)

    async def send(self, is_running):
        if not self.state.take_suppressed():
            self.state.set_running(is_running)
            await self.announce()


def test_a_hold_stops_a_guest_and_lets_it_run_again():
    async def run(quietly):
        qemu = Qemu()
        async with qemu.vcpus.held(quietly=quietly) as was_running:
            assert was_running and not qemu.running
        assert qemu.running and qemu.state.is_running
        return qemu.announced

    assert asyncio.run(run(False)) == [Runstate.PAUSED, Runstate.RUNNING]
    assert asyncio.run(run(True)) == []


def test_a_guest_that_was_paused_stays_paused():
    async def run():
        qemu = Qemu(is_running=False)
        async with qemu.vcpus.held() as was_running:
            assert not was_running
        assert not qemu.running and qemu.announced == []

    asyncio.run(run())


@pytest.mark.parametrize("quietly", [True, False])
def test_what_a_client_asks_meanwhile_holds_afterwards(quietly):
    async def run():
        qemu = Qemu()
        async with qemu.vcpus.held(quietly=quietly):
            await qemu.vcpus.pause()
            assert qemu.state.runstate is Runstate.PAUSED
        assert not qemu.running and qemu.state.runstate is Runstate.PAUSED
        async with qemu.vcpus.held(quietly=quietly):
            await qemu.vcpus.resume()
            assert not qemu.running
        assert qemu.running and qemu.state.runstate is Runstate.RUNNING

    asyncio.run(run())


def test_holds_that_overlap_stop_the_guest_until_the_last_ends():
    async def run():
        qemu = Qemu()
        async with qemu.vcpus.held():
            async with qemu.vcpus.held(quietly=True) as was_running:
                assert was_running and not qemu.running
            assert not qemu.running
        assert qemu.running and qemu.announced == [Runstate.PAUSED, Runstate.RUNNING]

    asyncio.run(run())


def test_a_hold_that_fails_to_stop_the_guest_holds_nothing():
    async def run():
        qemu = Qemu()
        stop = qemu.stop

        async def fail():
            raise MachineError("QEMU is silent; wait")

        qemu.stop = fail
        with pytest.raises(MachineError):
            async with qemu.vcpus.held(quietly=True):
                pass
        assert qemu.state._suppressed == 0
        qemu.stop = stop
        async with qemu.vcpus.held() as was_running:
            assert was_running
        assert qemu.running

    asyncio.run(run())


STEPS = st.lists(st.sampled_from(["pause", "resume", "hold", "hold quietly", "release"]), max_size=20)


@given(STEPS, st.booleans())
def test_whatever_is_asked_in_whatever_order_the_last_wish_of_a_client_wins(steps, is_running):
    async def run():
        qemu, wanted = Qemu(is_running), is_running
        holds: list[contextlib.AsyncExitStack] = []
        for step in steps:
            if step.startswith("hold"):
                holds.append(contextlib.AsyncExitStack())
                await holds[-1].enter_async_context(qemu.vcpus.held(quietly=step != "hold"))
            elif step == "release" and holds:
                await holds.pop(0).aclose()
            elif step != "release":
                await getattr(qemu.vcpus, step)()
                wanted = step == "resume"
            assert qemu.running == (wanted and not holds)
        for hold in holds:
            await hold.aclose()
        assert qemu.running == wanted == qemu.state.is_running
        assert qemu.state._suppressed == 0

    asyncio.run(run())
