"""Courtesy, ranges and comparisons, put plainly; and what looks like them and is not."""

from __future__ import annotations

import pytest

from qemu_bridge.gateway.understanding.phrasing import plain


@pytest.mark.parametrize(
    "question",
    [
        "If you have a moment, list the modules.",
        "list the modules, if that is not too much trouble",
        "If it's not too much to ask, list the modules",
        "I'd be grateful if you could list the modules",
        "It would be lovely if you could list the modules.",
        "whenever you get a chance, list the modules",
        "Could I trouble you for the list of modules?",
        "we would be delighted if you could show us the modules",
    ],
)
def test_courtesy_says_nothing(question, asked):
    assert asked(question) == "modules demo"


@pytest.mark.parametrize(
    ("question", "command"),
    [
        ("does sshd use more memory than crond?", "overlay demo processes --where 'pid=120|97' --sort resident_pages --reverse"),
        ("tell me whether crond has fewer threads than init", "overlay demo processes --where 'pid=97|1' --sort thread_count"),
        ("which is bigger, vfat or fat?", "overlay demo modules --where 'name=vfat|fat' --sort size --reverse"),
        ("loop or dummy, which one is smaller?", "overlay demo modules --where 'name=loop|dummy' --sort size"),
        ("is slab dentry larger than filp", "overlay demo slabs --where 'name=dentry|filp' --sort size --reverse"),
        ("processes with pids between 90 and 99", "overlay demo processes --where 'pid>=90' --where 'pid<=99'"),
        ("pid 90-99", "overlay demo processes --where 'pid>=90' --where 'pid<=99'"),
        ("kernel messages 1 to 10", "overlay demo dmesg --first 10"),
        ("since when has the machine been running", "status demo"),
        ("files in the page cache that nobody maps", "overlay demo page-cache --where 'mapped!=True'"),
    ],
)  # fmt: skip
def test_ranges_and_comparisons_are_rows(question, command, asked):
    assert asked(question) == command


@pytest.mark.parametrize(
    "question",
    [
        "does sshd use more memory than vfat?",  # of two kinds
        "does sshd use more memory than nosuch?",
        "has vfat more threads than fat?",
        "does sshd use more time than crond?",
        "list the modules if sshd is running",
        "kernel messages 5 to 10",
        "show crond instead of init",
    ],
)
def test_what_only_looks_so_is_asked_back(question, asked):
    assert asked(question) is None


@pytest.mark.parametrize(
    "text", ["", "ps", "pids 97 and 120", 'find "if that is ok" in memory', "colour by owner", "the picture", "if"]
)
def test_what_is_plain_stays_and_what_is_quoted_too(text):
    assert plain(text) == text


def test_of_two_of_a_name_it_is_not_known_which_is_compared():
    from qemu_bridge.gateway.understanding import KnownProcess, StaticNames

    names = StaticNames(processes=[KnownProcess(1, 0, "init"), KnownProcess(5, 1, "sh"), KnownProcess(6, 1, "sh")])
    assert plain("does sh use more memory than init?", names) == "does sh use more memory than init?"


@pytest.mark.parametrize("question", ["krn ver", "kernel ver"])
def test_a_short_word_is_not_passed_over_as_one_that_says_nothing(question, asked):
    assert asked(question) == "call demo kernel"


def test_a_number_that_is_compared_is_no_size_of_a_picture(asked):
    assert asked("slabs with object size > 4k") == "overlay demo slabs --where 'object_size>4096'"
    assert "3840x2160" in asked("screenshot in 4k")
