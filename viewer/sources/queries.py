"""Queries to the daemon, sent by a thread of their own so that no frame waits for a result.

A query has a topic. Of two about one topic only the newer is sent, and the last result stays until the next one comes. A
panel asks, and looks frame by frame whether there is a result::

    PROCESSES: Topic[tuple[Process, ...]] = Topic("ps")

    queries.ask(PROCESSES, lambda client: client.ps().value)
    found = queries.result(PROCESSES)     # None until there is one
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from qemu_bridge.errors import GlassBoxError, MachineError

if TYPE_CHECKING:
    from qemu_bridge.client import Client

log = logging.getLogger(__name__)

T = TypeVar("T")


class Topic(str, Generic[T]):
    """Name of a topic whose results are `T`: whoever asks and whoever looks are held to one type."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class QueryResult(Generic[T]):
    """A value, None where there is an error; `key` is what was given to `ask`, `time_s` on the monotonic clock."""

    key: object
    value: T | None
    error: str
    time_s: float


class Queries:
    """A thread that sends one query after the other; `wake` is called on it after each result."""

    def __init__(self, connect: Callable[[], Client] | None, wake: Callable[[], None]) -> None:
        """`connect` makes a client, on the thread; None where there is no daemon."""
        self._connect, self._wake = connect, wake
        self._condition = threading.Condition()
        self._waiting: dict[str, tuple[object, Callable[[Client], Any]]] = {}
        self._asking = ""
        self._results: dict[str, QueryResult[Any]] = {}
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name="viewer-queries", daemon=True)

    @property
    def is_available(self) -> bool:
        """Whether there is a daemon to query."""
        return self._connect is not None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after its present query; waits half a second at most."""
        with self._condition:
            self._is_stopped = True
            self._condition.notify()
        if self._thread.ident is not None:
            self._thread.join(timeout=0.5)

    def ask(self, topic: Topic[T], query: Callable[[Client], T], key: object = None) -> None:
        """Send `query` soon, which takes a client and returns the result; one of the same topic that still waits is dropped."""
        with self._condition:
            if self._connect is None:
                self._results[topic] = QueryResult(
                    key, None, "there is no daemon to query; open a running machine", time.monotonic()
                )
                return
            self._waiting[topic] = (key, query)
            self._condition.notify()

    def result(self, topic: Topic[T]) -> QueryResult[T] | None:
        """The last result of a topic; None until there is one."""
        return self._results.get(topic)

    def forget(self, topic: Topic[Any]) -> None:
        """Drop the result of a topic."""
        self._results.pop(topic, None)

    def is_pending(self, topic: Topic[Any]) -> bool:
        """Whether a result is to come."""
        return topic in self._waiting or self._asking == topic

    def _run(self) -> None:
        client: Client | None = None
        while (taken := self._take()) is not None:
            topic, key, query = taken
            client = self._put(client, topic, key, query)
            self._asking = ""
            self._wake()
        _close(client)

    def _take(self) -> tuple[str, object, Callable[[Client], Any]] | None:
        with self._condition:
            self._condition.wait_for(lambda: self._is_stopped or self._waiting)
            if self._is_stopped:
                return None
            topic = self._asking = next(iter(self._waiting))
            key, query = self._waiting.pop(topic)
            return topic, key, query

    def _put(self, client: Client | None, topic: str, key: object, query: Callable[[Client], Any]) -> Client | None:
        assert self._connect is not None
        value = None
        error = ""
        try:
            client = client if client is not None else self._connect()
            value = query(client)
        except GlassBoxError as problem:
            error = str(problem)
            # The machine is gone or silent: the next query connects again.
            if isinstance(problem, MachineError):
                _close(client)
                client = None
        except Exception as problem:  # a daemon of another version may answer anything
            log.exception("the query about %s failed", topic)
            error = f"the answer cannot be understood ({problem}); is the daemon of this version?"
            _close(client)
            client = None
        self._results[topic] = QueryResult(key, value, error, time.monotonic())
        return client


def _close(client: Client | None) -> None:
    if client is not None:
        with contextlib.suppress(Exception):
            client.close()
