"""The search box: what matches, and which bytes are looked for."""

from __future__ import annotations

import re
import subprocess
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qemu_bridge.errors import UsageError
from qemu_bridge.memory.addresses import RamLayout, RamRegion
from qemu_bridge.memory.ram import GuestRam
from qemu_bridge.wire.records import TargetMemory, TargetRange
from viewer.app.search import (
    MOST_PLACES,
    FoundBytes,
    Item,
    best_items,
    find_bytes,
    fuzzy_score,
    parse_pattern,
)
from viewer.sources.targets import pages_of

NAMES = ("Undo move", "Bookmark this view", "page table", "process stack", "Processes", "crond (97)")


@pytest.mark.parametrize(
    ("query", "first"), [("undo", "Undo move"), ("pgtb", "page table"), ("cro", "crond (97)"), ("proce", "Processes")]
)
def test_the_likeliest_comes_first(query, first):
    assert best_items(query, [Item(name, "", lambda: None) for name in NAMES])[0].title == first


@given(st.text(max_size=20), st.text(max_size=40))
def test_a_score_means_that_the_letters_are_there_in_order(query, text):
    letters = [letter for letter in query.lower() if letter != " "]
    found = iter(text.lower())
    if fuzzy_score(query, text) > 0:
        assert all(letter in found for letter in letters)


def test_patterns():
    assert parse_pattern('"root:') == b"root:" and parse_pattern("x:7f 45") == b"\x7fE"
    masked = parse_pattern("x:7f ?? 2e")
    assert isinstance(masked, re.Pattern) and masked.fullmatch(b"\x7f\n.") and not masked.fullmatch(b"\x7f\nX")
    assert isinstance(parse_pattern("r:a+"), re.Pattern) and parse_pattern("init") is None
    for wrong in ("x:zz", "r:("):
        with pytest.raises(UsageError, match="write"):
            parse_pattern(wrong)


@pytest.fixture
def ram(tmp_path):
    content = np.zeros(1 << 20, np.uint8)
    for offset in (0x10, 0x20, 0x3000):
        content[offset : offset + 4] = np.frombuffer(b"here", np.uint8)
    (tmp_path / "ram").write_bytes(content.tobytes())
    with GuestRam(tmp_path / "ram", RamLayout((RamRegion(0, 0, 1 << 20),))) as ram:
        yield ram


@pytest.mark.parametrize("query", ['"here', "x:68657265", "r:he.e"])
def test_places_become_pages_each_once(ram, query):
    found = find_bytes(ram, query, 60)
    assert found.is_complete and found.offsets == (0x10, 0x20, 0x3000) and found.pages().tolist() == [0, 3]


def test_more_places_than_are_wanted_are_not_all(ram):
    found = find_bytes(ram, "x:00", 60)
    assert not found.is_complete and len(found.offsets) == MOST_PLACES


def test_an_expression_that_takes_for_ever_ends_in_time_and_nobody_waits_for_it(ram):
    beats = []
    searching = threading.Thread(target=lambda: beats.append(find_bytes(ram, r"r:(\x00+\x00+)+y", 3)))
    begun = last = time.monotonic()
    longest = 0.0
    searching.start()
    while searching.is_alive():
        time.sleep(0.01)
        last, longest = time.monotonic(), max(longest, time.monotonic() - last)
    assert beats == [FoundBytes((), False)]
    assert last - begun < 25 and longest < 1.5


def test_what_a_search_finds_does_not_follow_how_busy_the_host_is(ram, monkeypatch):
    # A process that waits for a processor uses none of its budget.
    whole = subprocess.Popen.communicate
    monkeypatch.setattr(
        subprocess.Popen,
        "communicate",
        lambda self, *words, **named: (time.sleep(1.5), whole(self, *words, **named))[1],
    )
    assert find_bytes(ram, '"here', 1).is_complete


def test_ranges_become_pages_within_ram():
    ranges = (TargetRange(0, 0x1FFF, 2, "a"), TargetRange(0, 0x5000, 0x100000, "a"))
    assert np.array_equal(pages_of(TargetMemory(ranges, 0), 8), [1, 2, 5, 6, 7])
    assert len(pages_of(TargetMemory((), 0), 8)) == 0
