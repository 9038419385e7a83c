"""Runstate, readiness, and the events that are the daemon's own."""

import asyncio

import pytest

from qemu_bridge.daemon.state import MachineState
from qemu_bridge.errors import MachineError
from qemu_bridge.wire.records import Grade


def test_what_is_read_is_live_paused_or_of_a_capture():
    state = MachineState("demo", is_static=False, ready=False)
    state.set_running(True)
    assert (state.grade, state.running.is_set()) == (Grade.LIVE, True)
    state.set_running(False)
    assert (state.grade, state.running.is_set()) == (Grade.PAUSED, False)
    still = MachineState("demo", is_static=True, ready=True)
    still.set_running(False)
    assert still.grade is Grade.CAPTURE


def test_as_many_events_are_suppressed_as_the_daemon_causes():
    state = MachineState("demo", is_static=False, ready=False)
    assert not state.take_suppressed()
    state.suppress_runstate_events(2)
    state.suppress_runstate_events(2)
    assert [state.take_suppressed() for _ in range(5)] == [True] * 4 + [False]


def test_waiting_for_user_space_ends_with_it_or_in_words():
    async def run():
        state = MachineState("demo", is_static=False, ready=False)
        with pytest.raises(MachineError, match="glassbox console demo"):
            await state.wait_ready(0.03)
        asyncio.get_running_loop().call_later(0.05, setattr, state, "ready", True)
        await state.wait_ready(5)

    asyncio.run(run())
