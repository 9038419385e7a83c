"""Answers that are shared by who asks at the same time, and those that are given again."""

import asyncio

from qemu_bridge.errors import GuestError
from qemu_bridge.gateway.shared_answers import SharedAnswers


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


def test_requests_that_have_come_join_before_the_question_is_sent():
    """As a server's requests do, each of which takes some rounds of the event loop to get there."""

    async def run():
        shared, sent = SharedAnswers(), []

        async def send():
            sent.append(len(sent))
            return b"answer"

        async def ask(after):
            for _ in range(after):
                await asyncio.sleep(0)
            return await shared.ask("ps", send)

        async def never_ending():
            for _ in range(1000):
                asking.append(asyncio.ensure_future(shared.ask("maps", send)))
                await asyncio.sleep(0)

        answers = await asyncio.gather(*(ask(after) for after in range(0, 10, 2)))
        assert len(answers) == 5 and len(sent) == 1
        asking = []
        await never_ending()
        await asyncio.gather(*asking)
        assert len(sent) > 10, "who comes later is not waited for"

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


def test_a_failure_that_nobody_expected_reaches_all_who_asked():
    async def run():
        shared = SharedAnswers()

        async def fail():
            raise ZeroDivisionError

        answers = await asyncio.gather(*(shared.ask("ps", fail) for _ in range(3)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [ZeroDivisionError] * 3
        assert not shared._next and not shared._under_way

    asyncio.run(run())


async def _error_of(asked):
    try:
        await asked
    except GuestError as error:
        return error
