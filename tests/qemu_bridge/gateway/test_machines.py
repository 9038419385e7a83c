"""Answers that are shared, and the list of machines."""

import asyncio

import pytest

from qemu_bridge.errors import GuestError, UnknownMachineError, UsageError
from qemu_bridge.gateway.machines import Machines, SharedAnswers


def test_questions_that_wait_are_asked_once_and_none_joins_one_under_way():
    async def run():
        shared, sent, gates = SharedAnswers(), [], []

        async def send():
            gate = asyncio.get_running_loop().create_future()
            sent.append(gate)
            gates.append(gate)
            return await gate

        async def ask():
            return await shared.ask("ps", send)

        async with asyncio.TaskGroup() as group:
            first = group.create_task(ask())
            while not sent:
                await asyncio.sleep(0)
            later = [group.create_task(ask()) for _ in range(10)]
            for _ in range(5):
                await asyncio.sleep(0)
            assert len(sent) == 1, "they wait for the one under way"
            gates[0].set_result(b"old")
            while len(sent) < 2:
                await asyncio.sleep(0)
            gates[1].set_result(b"new")
        assert first.result() == b"old" and {task.result() for task in later} == {b"new"} and len(sent) == 2
        assert not shared._next and not shared._under_way

    asyncio.run(run())


def test_an_answer_is_given_again_only_while_nothing_can_have_changed():
    async def run():
        shared, clock, sent = SharedAnswers(), [1.0], []

        async def send():
            sent.append(clock[0])
            clock[0] += moved
            return str(len(sent)).encode()

        async def ask(key="ps", moment=lambda: clock[0]):
            return await shared.ask(key, send, moment)

        moved = 0.0
        assert [await ask(), await ask(), await ask("maps"), await ask()] == [b"1", b"1", b"2", b"1"]
        clock[0] = 2.0
        assert await ask() == b"3"
        # The guest ran while it was looked at: what was seen is of no moment that comes again.
        clock[0], moved = 3.0, 0.5
        assert [await ask(), await ask()] == [b"4", b"5"]
        moved = 0.0
        assert [await ask(moment=None), await ask(moment=lambda: None), await ask(moment=lambda: None)] == [
            b"6",
            b"7",
            b"8",
        ]
        for number in range(200):
            await ask(number)
        assert len(shared._kept) <= 64

    asyncio.run(run())


def test_one_who_gives_up_leaves_the_answer_to_the_others_and_errors_reach_all():
    async def run():
        shared = SharedAnswers()
        gate = asyncio.get_running_loop().create_future()

        async def fail():
            await gate
            raise GuestError("no kernel")

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_error_of(shared.ask("ps", fail))) for _ in range(3)]
            await asyncio.sleep(0)
            tasks[0].cancel()
            await asyncio.sleep(0)
            gate.set_result(None)
        assert [str(task.result()) for task in tasks[1:]] == ["no kernel"] * 2

    asyncio.run(run())


async def _error_of(asked):
    try:
        await asked
    except GuestError as error:
        return error


@pytest.mark.parametrize("name", ["../x", "/tmp/capture", ".", ""])
def test_no_path_is_a_machine(name):
    with pytest.raises(UsageError, match="machine name"):
        Machines().client(name)


@pytest.mark.guest
def test_the_list_has_every_machine_and_strangers_are_unknown(machine):
    async def run():
        machines = Machines()
        try:
            with pytest.raises(UnknownMachineError):
                machines.client("nobody")
            assert machines.client(machine.name) is machines.client(machine.name)
            return await machines.list_status()
        finally:
            await machines.close()

    assert machine.name in [status.name for status in asyncio.run(run())]
