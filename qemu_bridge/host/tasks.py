"""Named asyncio tasks with a reference each: the only place where tasks are created."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import TypeVar

logger = logging.getLogger(__name__)

_CANCELLATIONS, _PATIENCE_S = 5, 1.0

Result = TypeVar("Result")


class TaskSet:
    """Keeps a reference to each running task, logs what fails, and cancels what is left."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()

    def start(self, coroutine: Coroutine[object, object, Result], name: str) -> asyncio.Task[Result]:
        """Run `coroutine` as a task called `name`."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finish)
        return task

    async def cancel_all(self) -> None:
        """Cancel every task but the calling one, and wait until they have ended: not for ever, one that does not is logged.

        A library may take a cancellation for something else and go on, so tasks that run on are cancelled again.
        """
        left = {task for task in self._tasks if task is not asyncio.current_task()}
        for _ in range(_CANCELLATIONS):
            if not left:
                return
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=_PATIENCE_S)
        for task in left:
            logger.error("task %s was cancelled and does not end: %s", task.get_name(), task)

    def _finish(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("task %s failed", task.get_name(), exc_info=error)
