"""Words of the vocabulary: slips of the pen are mended and told."""

from __future__ import annotations

import pytest

from qemu_bridge.gateway.understanding import understand
from qemu_bridge.gateway.understanding.words import corrections, mend, stem


def test_stems():
    assert stem("sockets") == stem("socket") and stem("took") == stem("taking")


@pytest.mark.parametrize(
    ("written", "meant"), [("memroy", "memory"), ("sokcets", "sockets"), ("crond", "crond"), ("xyzzy", "xyzzy")]
)
def test_a_slip_is_mended_if_it_can_be_one_word_alone(written, meant, names):
    assert stem(mend(written, names)) == stem(meant)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("slab cahce", [("cahce", "cache")]),
        ("heap of crnd", [("crnd", "crond")]),
        ("heap of crond", []),
        ("open files of cron", []),
        ("pleeease list processes", []),
    ],
)
def test_what_is_read_otherwise_than_written(text, told, names):
    assert corrections(text, names) == told


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("slab cahce", "read 'cache' for 'cahce'"),
        ("page tables of sshdd", "for 'sshdd'"),
        ("where is the paeg cache", "read 'page' for 'paeg'"),
    ],
)
def test_a_slip_is_told_with_what_is_understood(question, words, names):
    assert words in understand(question, names, "demo").says


def test_a_slip_is_told_with_what_is_not_understood(names):
    assert "read 'processes' for 'proceses'" in understand("frobnicate the proceses", names, "demo").reason
