"""Questions in words: each means one command, or nothing is guessed."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from asked_questions import FOLDER, read_questions, score
from hypothesis import given
from hypothesis import strategies as st

from qemu_bridge.cli import make_parser
from qemu_bridge.gateway.understanding import EXAMPLES, Request, StaticNames, Unsure, understand
from qemu_bridge.wire.operations import BY_NAME, Permission

ROWS = [
    tuple(map(str.strip, line.partition(" => ")[::2]))
    for line in (Path(__file__).parents[3] / "references/questions.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
FIRST_TRY = {
    "fresh-1": 34, "fresh-2": 30, "fresh-3": 28, "fresh-4": 45, "fresh-5": 43, "fresh-6": 41, "fresh-7": 46, "fresh-8": 39, "fresh-9": 52,
    "fresh-10": 55, "fresh-11": 55, "fresh-12": 52, "fresh-13": 48, "fresh-14": 53, "fresh-15": 55, "fresh-16": 58, "fresh-17": 56, "fresh-18": 53,
    "fresh-19": 56, "fresh-20": 57, "fresh-21": 67, "fresh-22": 75, "fresh-23": 67, "fresh-24": 83, "fresh-25": 77,
    "fresh-26": 79, "fresh-27": 47, "fresh-28": 51,
    "plain-1": 113, "plain-2": 114, "plain-3": 115,
}  # fmt: skip
"""Lists of 60 questions, from the 21st on of a hundred, each written before anything was changed for it, and how many were understood as meant then.

The first three are full of comparison and negation, which were not known yet. Since then all are understood as meant in 93 of 100 cases or
more, which is what is tested, and none means in silence what was not asked. In four lists, and in those from the 21st to the 26th and the last, a right answer was added
that was overlooked. Of the six lists of a hundred 3, 5, 2, 5, 5 and 2 questions meant in silence at the first try what was not asked, and 2 and 1 of the two
lists of sixty after them, each written when those before it had been mended. The
117 plain questions of the first such list are of the kind that the manual shows; no answer to them was another than asked. The other two were
written by two people who had the manual alone. Three right sides of one and one of the other were wrong by the documents, or lacked a right answer, and
are corrected; one answer of the first was another than asked: symbols that begin with a word were those that contain it.
"""
UNDERSTOOD = [row for row in ROWS if row[1]]
READ = {
    "ps", "maps", "modules", "sym", "overlay", "resolve", "identify", "peek", "find", "dirty", "compare", "status", "console", "snap",
    "record-video", "highlight", "fly-to", "viewers", "view", "call", "ask", "trace",
}  # fmt: skip


def test_there_are_enough_questions_to_mean_something():
    assert len(UNDERSTOOD) >= 120 and len(ROWS) - len(UNDERSTOOD) >= 60


@pytest.mark.parametrize(("question", "command"), ROWS, ids=lambda text: text or "-")
def test_a_question_means_this_command_or_none(question, command, asked):
    assert (asked(question) or "") == command


@pytest.mark.parametrize("name", FIRST_TRY)
def test_a_list_is_understood_as_meant_and_nothing_is_guessed_in_silence(name, names):
    rows = read_questions(FOLDER / f"{name}.txt")
    found = score(rows, names)
    assert len(rows) >= 60 and not found.wrong
    assert len(found.as_meant) >= 0.93 * len(rows), found.unsure


def test_a_word_is_not_explained_by_showing_it(names):
    unsure = understand("what is a page table?", names)
    assert "explained" in unsure.reason and unsure.alternatives[0].words[-1] == "class:page-table"


def test_a_reason_is_no_part_of_a_question(asked):
    assert asked("list the processes because I am curious") == "ps demo"


def test_every_command_is_one_that_the_command_line_takes_and_every_operation_is_in_the_table(names):
    parser = make_parser()
    for question, _ in UNDERSTOOD:
        request = understand(question, names, "demo")
        words = list(request.command("demo")[1:])
        parser.parse_args(["trace", "record", *words[1:]] if words[0] == "trace" and words[1] != "top" else words)
        if request.operation:
            operation = BY_NAME[request.operation]
            assert set(request.arguments) <= set(operation.arguments.__struct_fields__), question


@pytest.mark.parametrize(
    ("question", "permission"),
    [
        ("pause the machine", Permission.CONTROL),
        ("shut down the vm", Permission.CONTROL),
        ("take a snapshot", Permission.CONTROL),
        ("start tracing", Permission.CONTROL),
        ('run "ls" in the guest', Permission.WRITE),
        ("show me crond's heap", Permission.READ),
        ("list processes", Permission.READ),
    ],
)
def test_what_a_question_may_do_is_what_its_operation_may(question, permission, names):
    assert understand(question, names, "demo").permission is permission


def test_what_changes_the_machine_is_understood_only_where_it_is_said_plainly(names):
    for question in (
        "kill crond",
        "don't pause the machine",
        "never stop the vm",
        "should I pause it or not",
        "delete the page cache",
    ):
        assert isinstance(understand(question, names, "demo"), Unsure)


def test_every_example_is_understood(names):
    assert all(isinstance(understand(question, names, "demo"), Request) for question in EXAMPLES)


def test_a_word_too_many_gives_what_is_understood_without_it(names):
    unsure = understand("list the fancy processes", names, "demo")
    assert "'fancy'" in unsure.reason
    assert [request.words[0] for request in unsure.alternatives] == ["ps"]


def test_the_machines_own_name_says_nothing(names):
    assert understand("what is running in box7", names, "box7").words[0] == "ps"


def test_an_endless_question_is_refused(names):
    assert "too long" in understand("why " * 200, names).reason


@given(st.text(max_size=60))
def test_any_text_has_an_answer(text):
    assert isinstance(understand(text, StaticNames()), (Request, Unsure))


WORDS = sorted({word for question, _ in ROWS for word in question.split()})


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=7))
def test_any_words_have_an_answer_that_can_be_run(names_words):
    meaning = understand(" ".join(names_words), StaticNames())
    if isinstance(meaning, Request):
        assert shlex.split(meaning.command_text("demo"))[0] == "glassbox" and meaning.words[0] in READ | {
            "pause", "resume", "stop", "capture", "exec", "mounts", "targets", "events",
        }  # fmt: skip
