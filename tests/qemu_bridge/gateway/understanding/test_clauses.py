"""A text is one question that stands alone."""

from __future__ import annotations

import pytest

from qemu_bridge.gateway.understanding import Request, Unsure, understand
from qemu_bridge.gateway.understanding.clauses import are_questions, join_list, refers_back, split_clauses


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("list processes", ("list processes",)),
        ("list the modules, and what is listening on port 80?", ("list the modules", "what is listening on port 80")),
        ("pause it; then take a snapshot", ("pause it", "take a snapshot")),
        ('find "stop; and list" in memory', ('find "stop; and list" in memory',)),
        ("which tasks are root's and are not kernel threads", ("which tasks are root's and are not kernel threads",)),
    ],
)
def test_clauses(text, clauses):
    assert split_clauses(text) == clauses


@pytest.mark.parametrize(
    "question",
    [
        "What processes are running, and what files does crond have open?",
        "show the modules then pause",
        "is sshd running and what is it doing",
        "pause the machine and take a snapshot",
        "take a picture and highlight crond",
    ],
)
def test_of_several_questions_none_is_answered(question, names):
    unsure = understand(question, names, "demo")
    assert isinstance(unsure, Unsure) and "one at a time" in unsure.reason and len(unsure.alternatives) > 1


@pytest.mark.parametrize("question", ["processes and sockets", "processes & sockets", "sockets, processes and mounts"])
def test_of_two_tables_none_is_shown(question, names):
    assert isinstance(understand(question, names, "demo"), Unsure)


@pytest.mark.parametrize(
    ("question", "command"),
    [
        ("processes and their sockets", "overlay demo sockets"),
        ("dmesg errors and warnings", "overlay demo dmesg --where 'level=err|warning'"),
        ("heap of sshd and crond", "highlight demo 'comm:sshd/heap + comm:crond/heap'"),
        ("show me sshd and then its page tables", "highlight demo comm:sshd/pagetables"),
    ],
)
def test_and_may_join_what_is_one_answer(question, command, asked):
    assert asked(question) == command


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("and its page tables?", "its"),
        ("what files does that process have open?", "that process"),
        ("show me the same for sockets", ""),
        ("what about the threads of that one?", "that one"),
        ("and the threads?", "and the"),
        ("show their heaps", "their"),
    ],
)
def test_what_was_said_before_is_not_remembered_and_that_is_told(question, words, names):
    unsure = understand(question, names, "demo")
    assert isinstance(unsure, Unsure)
    assert not words or f"say what {words!r}" in unsure.reason.lower()


@pytest.mark.parametrize(
    "question",
    [
        "those processes that are sleeping",
        "show crond and its heap",
        "processes with their parents",
        "list this machine's modules",
    ],
)
def test_what_stands_for_something_in_the_question_is_no_reference_back(question, names):
    assert isinstance(understand(question, names, "demo"), Request)


def test_parts():
    assert refers_back("the heap of crond") == "" and refers_back("show those again") == "those again"
    assert join_list("modules, slabs and mounts") == "modules and slabs and mounts"
    assert are_questions(("is it up", "what is it")) and not are_questions(("show it", "what is it"))
