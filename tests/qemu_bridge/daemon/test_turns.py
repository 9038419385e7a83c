"""Turns: a client waits for itself, and is forgotten afterwards."""

import asyncio

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
