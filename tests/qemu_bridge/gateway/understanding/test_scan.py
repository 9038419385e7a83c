"""A question is cut into words, numbers and signs."""

from __future__ import annotations

import pytest

from qemu_bridge.gateway.understanding.scan import scan, split_possessives


@pytest.mark.parametrize(
    ("text", "number"),
    [("10 MB", 10 << 20), ("1.5 kib", 1536), ("half a megabyte", 1 << 19), ("a gigabyte", 1 << 30), ("64k", 65536), ("3 megs", 3 << 20)],
)  # fmt: skip
def test_sizes_are_bytes(text, number):
    (token,) = scan(text)
    assert token.number == number and token.has_unit


def test_signs_compare_and_negate():
    concepts = [token.concept for token in scan("uid != 0 rss>=1M !stack non-root")]
    assert concepts == ["", "differs", "", "", "at_least", "", "not", "", "not", ""]


def test_a_possessive_is_the_word():
    crond, heap = split_possessives(scan("crond's heap"))
    assert (crond.text, crond.is_owner, heap.is_owner) == ("crond", True, False)
    assert [token.text for token in split_possessives(scan("isn't"))] == ["isn't"]
