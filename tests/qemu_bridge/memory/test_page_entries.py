"""Entries of page tables one by one: what maps, what points on, which frame, which rights."""

import numpy as np
import pytest
from memory_samples import LARGE, LEAF, NO_EXECUTE, PROT_NONE

from qemu_bridge.memory import page_entries

FRAMES = 0xFFFFFFFFFF000


def column(*entries):
    return np.array(entries, np.uint64)


@pytest.mark.parametrize(
    ("entry", "level", "maps", "points"),
    [
        (LEAF, 1, True, True),
        (LEAF | LARGE, 2, True, False),
        (LEAF, 2, False, True),
        (LEAF | LARGE, 3, True, False),
        (LEAF | LARGE, 4, False, True),
        (PROT_NONE, 1, True, False),
        (PROT_NONE | LARGE, 2, True, False),
        (0x40, 1, False, False),
        (0, 2, False, False),
    ],
)
def test_an_entry_maps_a_page_or_points_to_a_table_by_its_level(entry, level, maps, points):
    assert page_entries.leaves(column(entry), level).tolist() == [maps]
    assert page_entries.pointers(column(entry), level).tolist() == [points]


def test_the_frame_of_a_page_that_must_not_be_touched_is_inverted():
    found = page_entries.frames_of(column(0x1234000 | LEAF, ~0x1234000 & FRAMES | PROT_NONE), 1)
    assert found.tolist() == [0x1234, 0x1234]


def test_bits_below_a_large_page_are_no_part_of_its_frame():
    assert page_entries.frames_of(column(0x5FF000 | LEAF | LARGE), 2).tolist() == [0x400]


def test_rights_are_those_that_the_tables_above_leave():
    entries = column(LEAF, LEAF, LEAF | NO_EXECUTE, PROT_NONE)
    denied = column(0, page_entries.PTE_WRITABLE | page_entries.PTE_NO_EXECUTE, 0, 0)
    everything = page_entries.PRESENT | page_entries.WRITABLE | page_entries.USER
    assert page_entries.leaf_flags(entries, denied).tolist() == [
        everything,
        page_entries.PRESENT | page_entries.USER | page_entries.NO_EXECUTE,
        everything | page_entries.NO_EXECUTE,
        page_entries.PROT_NONE,
    ]
