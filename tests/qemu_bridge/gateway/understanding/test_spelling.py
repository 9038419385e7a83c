"""Slips of the pen."""

from __future__ import annotations

import pytest

from qemu_bridge.gateway.understanding.spelling import best_slips, distance, is_short_for, is_slip


@pytest.mark.parametrize(
    ("word", "meant"),
    [("proceses", "processes"), ("haep", "heap"), ("stak", "stack"), ("memroy", "memory"), ("lisning", "listening")],
)
def test_these_are_slips(word, meant):
    assert is_slip(word, meant)


@pytest.mark.parametrize(
    ("word", "other"), [("stick", "stack"), ("heat", "heap"), ("sad", "sed"), ("ground", "around"), ("table", "stable")]
)
def test_these_are_other_words(word, other):
    assert not is_slip(word, other)


def test_an_exchange_of_neighbours_is_one_mistake():
    assert distance("abcd", "abdc") == 1 and distance("abc", "") == 3 and distance("kernel", "kernel") == 0


def test_all_that_are_as_near_are_named():
    assert best_slips("stakc", ["stack", "stake", "heap"]) == ["stack"]
    assert best_slips("tasp", ["task", "stack"]) == []


def test_a_word_without_its_vowels_is_short_for_it():
    assert is_short_for("lvl", "level") and is_short_for("msgs", "messages") and is_short_for("mnt", "mount")
    assert not is_short_for("nt", "net") and not is_short_for("lvx", "level") and not is_short_for("level", "level")
