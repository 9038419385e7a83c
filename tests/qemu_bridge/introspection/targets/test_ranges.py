"""Sets of bytes obey the laws of sets."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from target_samples import as_set

from qemu_bridge.errors import AddressError
from qemu_bridge.introspection.targets.ranges import combine, cut, physical_to_ranges, to_ranges, total
from qemu_bridge.memory.addresses import GIB, PhysicalAddress, RamLayout

BYTES = 60


sets = st.lists(st.tuples(st.integers(0, BYTES), st.integers(0, BYTES)), max_size=8)


def as_ranges(pairs):
    return to_ranges([a for a, _ in pairs], [b for _, b in pairs])


def is_canonical(ranges):
    flat = ranges.ravel()
    return ranges.dtype == np.int64 and bool((np.diff(flat) > 0).all())


@given(sets, sets)
def test_operators_are_those_of_sets(left, right):
    a, b = as_ranges(left), as_ranges(right)
    assert as_set(a) == as_set(left) and is_canonical(a)
    for operator, expected in (
        ("+", as_set(a) | as_set(b)),
        ("&", as_set(a) & as_set(b)),
        ("-", as_set(a) - as_set(b)),
    ):
        found = combine(operator, a, b)
        assert as_set(found) == expected and is_canonical(found) and total(found) == len(expected)


@given(sets, st.lists(st.integers(0, BYTES)))
def test_cutting_keeps_the_bytes_and_leaves_no_edge_inside(pairs, edges):
    whole = as_ranges(pairs)
    pieces = cut(whole, np.array(sorted(edges), np.int64))
    assert as_set(pieces) == as_set(whole) and total(pieces) == total(whole)
    assert not any(start < edge < end for start, end in pieces.tolist() for edge in edges)


@given(st.lists(st.tuples(st.integers(0, 9 * GIB), st.integers(1, 5 * GIB)), max_size=5))
def test_physical_ranges_keep_what_is_ram(pairs):
    layout = RamLayout.from_rule("q35", 5 * GIB)
    found = physical_to_ranges(
        layout, np.array([a for a, _ in pairs], np.int64), np.array([b for _, b in pairs], np.int64)
    )
    assert is_canonical(found) and (not len(found) or 0 <= found[0, 0] < found[-1, 1] <= layout.size)
    for start, size in pairs:
        for physical in (start, start + size - 1):
            try:
                offset = layout.to_offset(PhysicalAddress(physical))
            except AddressError:
                continue
            assert any(first <= offset < end for first, end in found.tolist())
