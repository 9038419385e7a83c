"""Turns: a client waits for itself, and is forgotten afterwards."""

import asyncio

import pytest

from qemu_bridge.daemon.turns import Turns
from qemu_bridge.host.tasks import TaskSet


def test_a_client_has_its_turns_one_after_the_other_and_others_theirs_meanwhile():
    async def run():
        turns, tasks, done, release = Turns(), TaskSet(), [], asyncio.Event()

        async def act(client, number):
            async with turns.of(client):
                if client == b"slow":
                    await release.wait()
                done.append((client, number))

        slow = [tasks.start(act(b"slow", number), "slow") for number in range(3)]
        await tasks.start(act(b"quick", 0), "quick")
        assert done == [(b"quick", 0)] and len(turns) == 1
        release.set()
        await asyncio.gather(*slow)
        assert done[1:] == [(b"slow", number) for number in range(3)] and len(turns) == 0

    asyncio.run(run())


def test_who_gives_up_waiting_leaves_the_turn_to_the_next():
    async def run():
        turns, tasks = Turns(), TaskSet()

        async def act():
            async with turns.of(b"a"):
                return True

        async with turns.of(b"a"):
            given_up, next_one = tasks.start(act(), "given up"), tasks.start(act(), "next")
            await asyncio.sleep(0)
            given_up.cancel()
        assert await next_one and len(turns) == 0

    asyncio.run(run())


class Reader:
    """A client that reads what it gets, or not."""

    def __init__(self):
        self.reads = asyncio.Event()

    @property
    def is_reading(self):
        return self.reads.is_set()

    async def wait_reading(self):
        await self.reads.wait()


def test_no_turn_begins_while_its_client_does_not_read_and_that_time_does_not_count():
    async def run():
        turns, tasks, reader, done = Turns(), TaskSet(), Reader(), []

        async def act(number):
            async with turns.of(b"a", reader, 30.0) as left_s:
                done.append((number, left_s))
                # As when the reply that was made in this turn has no room.
                reader.reads.clear()

        reader.reads.set()
        acting = [tasks.start(act(number), "turn") for number in range(3)]
        for count in (1, 2, 3):
            for _ in range(20):
                await asyncio.sleep(0)
            assert [number for number, _ in done] == list(range(count))
            reader.reads.set()
        await asyncio.gather(*acting)
        assert all(29.0 < left_s <= 30.0 for _, left_s in done) and len(turns) == 0

    asyncio.run(run())


def test_a_turn_that_does_not_come_in_time_is_given_up():
    async def run():
        turns, reader = Turns(), Reader()
        reader.reads.set()
        async with turns.of(b"a"):
            with pytest.raises(TimeoutError):
                async with turns.of(b"a", reader, 0.01):
                    pass
        assert len(turns) == 0

    asyncio.run(run())
