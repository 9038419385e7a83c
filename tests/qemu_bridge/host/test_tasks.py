"""Tasks: named, kept, and never lost in silence."""

import asyncio
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
