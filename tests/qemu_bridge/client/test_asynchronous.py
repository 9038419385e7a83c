"""The asynchronous client: the same operations, awaited, many at a time."""

import asyncio
import os
import signal

import pytest
from support import wait_until

from qemu_bridge.client import AsyncClient
from qemu_bridge.errors import MachineError, MachineGoneError, UnknownMachineError, UsageError
from qemu_bridge.wire.event_records import ExitedEvent, RunstateEvent
from qemu_bridge.wire.records import Runstate
from qemu_bridge.wire.trace_records import ArmOptions
from tcg_plugin.layout import Feature

pytestmark = pytest.mark.guest


def test_an_unknown_machine_is_refused_before_anything_is_awaited():
    with pytest.raises(UnknownMachineError):
        AsyncClient.connect("nobody")


def test_many_questions_are_asked_at_once_and_each_gets_its_own_answer(machine):
    async def run():
        async with AsyncClient.connect(machine.name) as client:
            names = [client.qmp("query-name") for _ in range(20)]
            return await asyncio.gather(client.ps(), client.kernel(), client.maps(1), client.status(), *names)

    processes, kernel, areas, status, *names = asyncio.run(run())
    assert processes[0].name == "init" and kernel.value.release and areas[0].start
    assert status.name == machine.name and {name["name"] for name in names} == {machine.name}


def test_its_answers_are_those_of_the_blocking_client(machine):
    async def run():
        async with AsyncClient.connect(machine.name) as client:
            return await client.modules(), await client.sym("init_task"), await client.page_map()

    with machine.paused():
        modules, symbols, page_map = asyncio.run(run())
        assert (
            modules.value == machine.client.modules().value and symbols.value == machine.client.sym("init_task").value
        )
        again = machine.client.page_map().value
    assert (page_map.value.entries["page_class"] == again.entries["page_class"]).all()


def test_errors_are_raised_where_the_answer_is_awaited(machine):
    async def run():
        async with AsyncClient.connect(machine.name) as client:
            with pytest.raises(UsageError, match="999999"):
                await client.maps(999999)
            return await client.status()

    assert asyncio.run(run()).runstate is Runstate.RUNNING


def test_wait_for_returns_when_it_is_so_and_gives_up_in_words(machine):
    async def run():
        async with AsyncClient.connect(machine.name) as client:
            assert isinstance(await client.wait_for("ready"), RunstateEvent), "the present state counts"
            waiting = asyncio.gather(client.wait_for("paused", 20), client.pause())
            event, _ = await waiting
            await client.resume()
            await client.wait_for(lambda event: getattr(event, "runstate", None) is Runstate.RUNNING)
            with pytest.raises(MachineError, match="not paused within"):
                await client.wait_for("paused", 0.2)
            return event

    assert asyncio.run(run()).runstate is Runstate.PAUSED


def test_the_end_of_a_machine_ends_what_is_awaited(victim):
    async def run():
        async with AsyncClient.connect("victim") as client:
            ends = asyncio.gather(client.wait_for("exited", 30), client.wait_ready(30), return_exceptions=True)
            await asyncio.sleep(0.2)
            os.kill((await client.status()).qemu_pid, signal.SIGKILL)
            return await ends

    exited, ready = asyncio.run(run())
    assert isinstance(exited, ExitedEvent) and exited.status == -9
    assert isinstance(ready, MachineGoneError)
    wait_until(lambda: not victim.is_alive())


def test_a_job_whose_caller_gives_up_is_cancelled(machine, tmp_path):
    async def run():
        async with AsyncClient.connect(machine.name) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await client.capture(str(tmp_path / "never"))
            while (await client.status()).runstate is not Runstate.RUNNING or list(tmp_path.iterdir()):
                await asyncio.sleep(0.05)

    asyncio.run(asyncio.wait_for(run(), 60))
    assert list(tmp_path.iterdir()) == []


def test_what_waits_when_a_client_is_closed_is_told(machine):
    async def run():
        client = AsyncClient.connect(machine.name)
        waiting = asyncio.gather(client.exec("sleep 3"), return_exceptions=True)
        await asyncio.sleep(0.3)
        await client.close()
        (error,) = await asyncio.wait_for(waiting, 10)
        with pytest.raises(MachineError, match="is closed"):
            await client.status()
        return error

    assert "was closed" in str(asyncio.run(run()))


def test_its_methods_take_what_those_of_the_blocking_client_take(machine):
    async def run():
        async with AsyncClient.connect(machine.name) as client:
            result = await client.exec(["printf", "%s", os.fsdecode(b"\xff")])
            armed = await client.trace_arm(ArmOptions(features=Feature.HEAT))
            await client.trace_disarm()
            with pytest.raises(UsageError, match="cannot be waited for"):
                await client.wait_for("asleep")
            return result.output, armed.reader_pid

    assert asyncio.run(run()) == (b"\xff", os.getpid())
