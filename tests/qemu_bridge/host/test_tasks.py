"""Tasks: named, kept, and never lost in silence."""

import asyncio
import contextlib
import logging

from qemu_bridge.host.tasks import TaskSet


def test_a_task_that_fails_is_logged_by_name(caplog):
    async def fail():
        raise RuntimeError("broken")

    async def run():
        await asyncio.wait([TaskSet().start(fail(), "breaker")])

    with caplog.at_level(logging.ERROR):
        asyncio.run(run())
    assert "breaker" in caplog.text and "broken" in caplog.text


def test_cancel_all_ends_what_runs_but_not_the_caller():
    async def run():
        tasks = TaskSet()
        sleeper = tasks.start(asyncio.sleep(1000), "sleeper")
        await tasks.start(tasks.cancel_all(), "canceller")
        return sleeper.cancelled()

    assert asyncio.run(run())


def test_cancel_all_ends_a_task_that_takes_a_cancellation_for_something_else():
    ended = []

    async def swallow():
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            await asyncio.sleep(1000)
        finally:
            ended.append(True)

    async def run():
        tasks = TaskSet()
        tasks.start(swallow(), "swallower")
        await asyncio.sleep(0)
        async with asyncio.timeout(60):
            await tasks.cancel_all()

    asyncio.run(run())
    assert ended


def test_cancel_all_does_not_wait_for_ever_and_names_what_does_not_end(caplog):
    async def refuse(released):
        while not released.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await released.wait()

    async def run():
        tasks, released = TaskSet(), asyncio.Event()
        tasks.start(refuse(released), "refuser")
        await asyncio.sleep(0)
        async with asyncio.timeout(60):
            await tasks.cancel_all()
        released.set()

    with caplog.at_level(logging.ERROR):
        asyncio.run(run())
    assert "refuser" in caplog.text
