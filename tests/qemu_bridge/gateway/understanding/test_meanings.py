"""What topics make of a question: a word is left to the account of a request only if it narrows nothing."""

from __future__ import annotations

import pytest

from qemu_bridge.gateway.understanding import Unsure, understand
from qemu_bridge.gateway.understanding.meanings import by_account, distinct, meanings
from qemu_bridge.gateway.understanding.reading import Reading
from qemu_bridge.gateway.understanding.tokens import read_tokens


def test_a_word_that_the_command_accounts_for_is_left_to_it(names):
    tokens = read_tokens("get hottest user-space functions from demo.gbt", names)
    reading = Reading(tokens, names)
    assert meanings(reading) == []
    (request,) = by_account(reading, tokens)
    assert "--user" in request.words and distinct([request, request]) == (request,)


@pytest.mark.parametrize(
    "question", ["what is writable stored in page 0x4000", "children kernel threads how many are there"]
)
def test_a_word_that_narrows_is_not(question, names):
    assert isinstance(understand(question, names, "demo"), Unsure)


@pytest.mark.parametrize(
    "question",
    [
        "which process has the file open that uses most memory",
        "open files of the process with the most memory",
        "who started the process that listens on port 80",
        "memory of the process on port 80",
        "the largest process's parent",
    ],
)
def test_a_question_within_a_question_is_told(question, names):
    unsure = understand(question, names, "demo")
    assert isinstance(unsure, Unsure) and "ask that other one first" in unsure.reason
