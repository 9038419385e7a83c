"""Digests of pages, and how many machines hold each content."""

from __future__ import annotations

import numpy as np
import pytest

from viewer.sources.content import NOTHING, PageDigests, count_holders


@pytest.fixture
def ram():
    return np.random.default_rng(3).integers(0, 256, 8 << 12, np.uint8)


def test_pages_have_one_digest_exactly_if_they_hold_the_same_bytes(ram):
    ram.reshape(8, -1)[5] = ram.reshape(8, -1)[2]
    ram.reshape(8, -1)[3] = 0
    digests = PageDigests(8)
    digests.mark(np.arange(7))
    digests.refresh(ram, 4)
    assert digests.stale_count == 3
    digests.refresh(ram, 100)
    values = digests.values
    assert digests.stale_count == 0 and values[5] == values[2] and values[3] == NOTHING == values[7]
    assert len(set(values.tolist())) == 6
    before, revision = values.copy(), digests.revision
    ram[6 << 12] ^= 1
    digests.mark(np.array([6]))
    digests.refresh(ram, 100)
    assert (values != before).nonzero()[0].tolist() == [6] and digests.revision > revision
    digests.clear(np.array([2]))
    assert values[2] == NOTHING


def test_counts_are_of_machines_and_not_of_pages():
    one, two, three = (np.array(values, np.uint64) for values in ([7, 7, 8, 0], [7, 9, 0, 0, 5], [9, 7]))
    assert [counts.tolist() for counts in count_holders([one, two, three])] == [[3, 3, 1, 0], [3, 2, 0, 0, 1], [2, 3]]
    assert count_holders([np.zeros(2, np.uint64)] * 2)[0].tolist() == [0, 0]
