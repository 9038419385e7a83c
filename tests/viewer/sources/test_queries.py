"""Queries are asked on a thread, the newest of a topic, and errors are answers."""

from __future__ import annotations

import threading
import time

import pytest

from qemu_bridge.errors import MachineGoneError, UsageError
from viewer.sources.queries import Queries


class Teller:
    def __init__(self) -> None:
        self.threads: set[str] = set()

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def asked():
    made: list[Teller] = []

    def connect() -> Teller:
        made.append(Teller())
        return made[-1]

    queries = Queries(connect, lambda: None)
    queries.made = made  # type: ignore[attr-defined]
    queries.start()
    yield queries
    queries.stop()


def wait(queries, topic, key=None):
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        answer = queries.result(topic)
        if answer is not None and answer.key == key:
            return answer
        time.sleep(0.005)
    raise AssertionError(f"no answer about {topic}")


def test_an_answer_comes_from_the_other_thread(asked):
    asked.ask("who", lambda _: threading.current_thread().name)
    assert wait(asked, "who").value == "viewer-queries"


def test_of_two_waiting_questions_the_newer_is_asked(asked):
    gate, seen = threading.Event(), []
    asked.ask("block", lambda _: gate.wait(5))
    for number in (1, 2, 3):
        asked.ask("n", lambda _, number=number: seen.append(number) or number, number)
    assert asked.is_pending("n")
    gate.set()
    assert wait(asked, "n", 3).value == 3
    assert seen == [3]


def test_errors_are_answers_and_a_lost_machine_is_connected_to_anew(asked):
    def fail(error):
        def ask(_):
            raise error

        return ask

    asked.ask("a", fail(UsageError("wrong word; say another")))
    assert "say another" in wait(asked, "a").error
    assert len(asked.made) == 1
    asked.ask("b", fail(MachineGoneError("it ended")))
    assert "ended" in wait(asked, "b").error
    asked.ask("c", fail(ZeroDivisionError("x")))
    assert "cannot be understood" in wait(asked, "c").error
    asked.ask("d", lambda _: 4)
    assert wait(asked, "d").value == 4
    assert len(asked.made) == 3


def test_where_there_is_nobody_to_ask_that_is_the_answer():
    queries = Queries(None, lambda: None)
    queries.ask("x", lambda _: 1)
    assert not queries.is_available and "no daemon" in queries.result("x").error
    queries.stop()
