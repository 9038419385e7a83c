"""Ranges of a dump: checked, joined, whole pages, few."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qemu_bridge.dumps.dump import check_ranges, layout_of
from qemu_bridge.errors import UsageError
from qemu_bridge.memory.addresses import GIB, PAGE_SIZE


def regions(ranges):
    return [(region.start, region.start + region.size) for region in layout_of(ranges).regions]


def test_neighbours_are_joined_and_windows_below_1_mib_are_ram():
    ranges = check_ranges("x", [(0x200000, 0x300000), (0x100000, 0x200000), (0x1000, 0x9FC00)])
    assert ranges == ((0x1000, 0x9FC00), (0x100000, 0x300000)) and regions(ranges) == [(0, 0x300000)]


def test_firmware_below_4_gib_is_no_ram():
    parts = [(0, 3 * GIB), (4 * GIB - 0x40000, 4 * GIB), (4 * GIB, 5 * GIB)]
    assert regions(check_ranges("x", parts)) == [(0, 3 * GIB), (4 * GIB, 5 * GIB)]


@pytest.mark.parametrize("parts", [[], [(5, 5)], [(0, 1 << 53)], [(0, 10), (9, 20)], [(-5, 5)], [(0, 1 << 50)]])
def test_what_cannot_be_ram_is_refused(parts):
    with pytest.raises(UsageError, match=r"x (is damaged|holds no RAM)"):
        check_ranges("x", parts)


@given(st.lists(st.integers(0, 1 << 30), min_size=2, max_size=400, unique=True))
def test_a_layout_is_of_few_regions_and_holds_every_byte(edges):
    edges = sorted(edges)[: len(edges) // 2 * 2]
    parts = list(zip(edges[::2], edges[1::2], strict=True))
    layout = layout_of(check_ranges("x", parts))
    assert len(layout.regions) <= 64
    for region, following in zip(layout.regions, layout.regions[1:], strict=False):
        assert region.start + region.size < following.start and not region.size % PAGE_SIZE
    for start, end in parts:
        assert layout.to_offset(end - 1) - layout.to_offset(start) == end - 1 - start
