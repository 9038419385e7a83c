"""Every word of a question counts: with one more, one less, another order or a negation it means something else, or is asked back."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from asked_questions import FOLDER, read_questions, same_command

from qemu_bridge.gateway.understanding import Request, understand
from qemu_bridge.gateway.understanding.tables import TABLES
from qemu_bridge.gateway.understanding.tokens import read_tokens

QUESTIONS = [
    row.question
    for path in (Path(__file__).parents[3] / "references/questions.txt", *sorted(FOLDER.glob("*.txt")))
    for row in read_questions(path)
    if row.commands
]
"""All questions that have an answer."""
PARTS = 9
by_part = pytest.mark.parametrize(
    "part", [0, *(pytest.param(part, marks=pytest.mark.long) for part in range(1, PARTS))]
)
"""A ninth of the questions at a time."""
OUTSIDE = """
    scheduler latency numa dirtyable encrypted compressed orphaned signed throttled pinned migrated remote local hourly idempotent throughput watermark
    fragmented overcommitted namespaced sandboxed outbound inbound previously formerly yesterday sometimes usually nearly roughly jittery unlucky hidden tainted
    preempted realtime hotplugged checksum bandwidth quota timeout priority-boosted swappable evicted unevictable unreclaimable dropped cloned traced-by
    outdated duplicate adjacent neighbouring purple readahead writeback-cached mlocked speculative privileged-only setuid sticky journaled bonded vlan
""".split()
"""Words of the field that are not in the grammar."""
INSIDE = """
    sleeping zombie idle stopped runnable listening established udp netlink anonymous executable writable read-only deleted biggest smallest oldest newest
    ascending alphabetically root's unless except shared warnings backtrace heap slab module mounts dmesg symbols struct sockets epoch trace picture video
    entropy zero untouched reserved huge bss vmalloc per-cpu crond's syslogd nc dentry vfat /etc/hosts 0x4321000 443 7 pause resume checkpoint children
    parent threads why when yesterday will kill several versus not no never 20%
""".split()
"""Words of the grammar that narrow a question, or make another of it."""


SAYS_THE_SAME = {
    "sockets": {"socket"}, "kernel-stacks": {"thread", "symbol", "why", "stack_trace", "sleeping"}, "status": {"when"}, "identify": {"symbol", "module"}, "top": {"symbol"},
    "processes": {"most"}, "sym": {"symbol"}, "find_symbols": {"symbol"}, "page-cache": {"most", "descending", "file", "memory"}, "fly-to": {"symbol"}, "threads": {"thread", "when"},
}  # fmt: skip
"""Concepts that add nothing where the answer is rows of a table, or the result of an operation, that is about them anyway."""


NOUNS = {
    "file",
    "command_line",
    "process",
    "kernel",
    "use",
    "map",
    "socket",
    "free",
    "established",
    "sleeping",
    "user_process",
}
"""Concepts that are conditions of one table, and only name something elsewhere."""


def command(question, names):
    meaning = understand(question, names, "demo")
    return (
        same_command(meaning.command_text("demo").removeprefix("glassbox "), names.processes)
        if isinstance(meaning, Request)
        else None
    )


def spaces(question):
    """Where a word can be put in: not in what is in quotes, nor in a target or a command line."""
    if re.search(r"""["'`|]|\b(pid|comm|file|slab|va|pa|kernel|module|sym|class)[:.]|(^| )-""", question):
        return []
    return [0, *(found.end() for found in re.finditer(r"\s+", question))]


def concepts(question, names):
    return {token.concept or f"{token.kind} {token.text.lower()}" for token in read_tokens(question, names)}


def not_counted(names, words, part):
    """Questions with one word more that mean the same command without it being said."""
    found = []
    for question in QUESTIONS[part::PARTS]:
        before = command(question, names)
        places = spaces(question)
        choose = random.Random(question)
        for word in choose.sample(words, 1) if before and places else ():
            at = choose.choice(places)
            longer = f"{question[:at]}{word} {question[at:]}"
            known = {each for word in before for each in SAYS_THE_SAME.get(word, ())}
            is_same = command(longer, names) == before and f"for '{word}'" not in understand(longer, names, "demo").says
            if is_same and not concepts(longer, names) <= concepts(question, names) | known:
                found.append(longer)
    return found


@by_part
def test_a_word_outside_of_the_grammar_is_never_passed_over(names, part):
    assert not_counted(names, OUTSIDE, part) == []


@by_part
def test_a_word_of_the_grammar_is_never_passed_over(names, part):
    assert not_counted(names, INSIDE, part) == []


def restricting(question, names):
    """The tokens that narrow a question: conditions, orders, names, numbers."""
    conditions = {concept for table in TABLES for concept in table.conditions} - NOUNS
    tokens = read_tokens(question, names)
    kinds = ("name", "pid", "port_number", "quantity", "path", "address", "uid")
    return [
        token
        for token in tokens
        if (token.concept in conditions or token.kind in kinds) and token not in tokens[: tokens.index(token)]
    ]


def not_missed(names, part):
    """Questions without something that narrows them that mean the same command."""
    found = []
    for question in QUESTIONS[part::PARTS]:
        before = command(question, names)
        for token in (
            restricting(question, names)
            if before and before[0] not in ("compare", "trace") and spaces(question)
            else ()
        ):
            shorter = re.sub(rf"(?<![\w/.]){re.escape(token.text)}('s)?(?![\w/])", "", question, flags=re.IGNORECASE)
            if (
                shorter != question
                and command(shorter, names) == before
                and (token.concept or token.text) not in concepts(shorter, names)
            ):
                found.append(shorter)
    return found


@by_part
def test_what_narrows_a_question_cannot_be_left_away_without_a_change(names, part):
    assert not_missed(names, part) == []


def not_negated(names, part):
    """Questions with something negated that mean the same command."""
    found = []
    for question in QUESTIONS[part::PARTS]:
        before = command(question, names)
        is_plain = not any(token.is_negated for token in read_tokens(question, names))
        for token in restricting(question, names) if before and is_plain and spaces(question) else ():
            other = question.replace(token.text, f"not {token.text}", 1)
            if other != question and command(other, names) == before:
                found.append(other)
    return found


@by_part
def test_what_is_negated_means_something_else_or_is_asked_back(names, part):
    assert not_negated(names, part) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("crond without init", "init without crond"),
        ("heap of crond except file /bin/busybox", "file /bin/busybox except heap of crond"),
        ("more than 4 threads on port 80", "more than 80 threads on port 4"),
        ("top 5 processes of user 7", "top 7 processes of user 5"),
        ("the parent of crond", "crond's children"),
        ("32 bytes at 4096", "4096 bytes at 32768"),
    ],
)
def test_the_order_of_words_counts(one, other, names):
    assert command(one, names) != command(other, names) or command(one, names) is None


@pytest.mark.parametrize(
    "question",
    [
        "97 open files",
        "modules using fat and mapped",
        "processes of root or crond",
        "uid 0 processes but sleeping ones",
        "stack of sshd^2",
        "which user owns the most processes",
        "who opened the file that nc is writing to",
        "how much memory is free, and how much is page cache?",
        "slabs ~ 1M",
    ],
)
def test_what_changes_the_meaning_is_asked_back(question, names):
    assert command(question, names) is None
