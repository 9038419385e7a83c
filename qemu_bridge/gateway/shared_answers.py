"""Answers that all share who ask the same at the same time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable

from ..errors import GlassBoxError
from ..host.tasks import TaskSet

Moment = Callable[[], float | None] | None
_MOST_KEPT, _MOST_KEPT_BYTES = 64, 1 << 18
_MOST_ROUNDS = 16


class SharedAnswers:
    """Equal questions that wait at the same time are asked once, and an answer is given again while nothing can have changed.

    A question joins an equal one that still waits to be sent, never one under way: no answer is older than its question. It is sent
    when no more join: reading all requests that have come is cheaper than asking twice. QEMU's processor time tells whether the guest
    may have written: while it stands still the last answer is that of now.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[float, bytes]] = OrderedDict()
        self._next: dict[Hashable, list[asyncio.Future[bytes]]] = {}
        self._under_way: dict[Hashable, asyncio.Lock] = {}
        self._tasks = TaskSet()

    async def ask(self, key: Hashable, send: Callable[[], Awaitable[bytes]], moment: Moment = None) -> bytes:
        """What `send` returns, or raises; called once for all who ask about `key` until it is their turn.

        `moment` tells a time that stands still while nothing changes; None, or what returns None, if there is none.
        """
        kept = self._kept.get(key)
        if kept is not None and moment is not None and kept[0] == moment():
            self._kept.move_to_end(key)
            return kept[1]
        waiting = self._next.get(key)
        if waiting is None:
            waiting = self._next[key] = []
            self._tasks.start(self._turn(key, send, moment), "question")
        # A future each: one who gives up does not take the answer from the others.
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        waiting.append(answer)
        return await answer

    async def _turn(self, key: Hashable, send: Callable[[], Awaitable[bytes]], moment: Moment) -> None:
        lock = self._under_way.setdefault(key, asyncio.Lock())
        waiting = self._next[key]
        try:
            async with lock:
                await _until_no_more_join(waiting)
                del self._next[key]
                began = None if moment is None else moment()
                answer = await send()
                self._keep(key, began, answer)
            for future in waiting:
                if not future.done():
                    future.set_result(answer)
        except BaseException as error:
            for future in waiting:
                if not future.done():
                    future.set_exception(error)
            if not isinstance(error, GlassBoxError):
                raise
        finally:
            if not lock.locked() and key not in self._next:
                self._under_way.pop(key, None)

    def _keep(self, key: Hashable, began: float | None, answer: bytes) -> None:
        self._kept.pop(key, None)
        if began is not None and len(answer) <= _MOST_KEPT_BYTES:
            self._kept[key] = (began, answer)
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)


async def _until_no_more_join(waiting: list[asyncio.Future[bytes]]) -> None:
    """Return when a round of the event loop brought nobody, or after some rounds: those that come without end are not waited for."""
    for _ in range(_MOST_ROUNDS):
        count = len(waiting)
        # In one round requests are read, in the next they get here.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if len(waiting) == count:
            return
