"""Words on pictures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qemu_bridge.wire.records import Owner, PageClass
from viewer.view.labels import arrange, describe_owner, describe_pages


def test_pages_are_called_by_class_and_owner():
    shell, file, cache = Owner(8, 7, "sh"), Owner(9, 0, "/tmp/x", "file"), Owner(10, 0, "dentry", "slab")
    kernel = Owner(1, 0, "kernel", "kernel")
    assert describe_pages(PageClass.PROCESS_HEAP, shell) == "heap of sh (7)"
    assert describe_pages(PageClass.PAGE_CACHE, file) == "page cache of /tmp/x"
    assert describe_pages(PageClass.SLAB, cache) == "slab dentry"
    assert describe_pages(PageClass.KERNEL_TEXT, kernel) == describe_pages(PageClass.KERNEL_TEXT, None) == "kernel text"
    assert describe_owner(None) == describe_owner(Owner(1, 0, "", "")) == "no owner"
    assert (describe_owner(shell), describe_owner(cache)) == ("sh (7)", "dentry")


AREA = (0.0, 0.0, 300.0, 200.0)


def gap_between(one, other):
    """How far two boxes are apart along x or y; negative where they overlap."""
    return max(one[0] - other[2], other[0] - one[2], one[1] - other[3], other[1] - one[3])


@pytest.mark.parametrize("seed", range(20))
def test_boxes_in_a_crowd_never_touch_and_stay_inside(seed):
    random = np.random.default_rng(seed)
    corners, sizes = random.uniform(-20, 300, (40, 2)), random.uniform((20, 8), (120, 20), (40, 2))
    wanted = [(x, y, x + w, y + h) for (x, y), (w, h) in zip(corners.tolist(), sizes.tolist(), strict=True)]
    taken = [(200.0, 0.0, 300.0, 60.0)]
    places = arrange(wanted, AREA, 3.0, taken)
    standing = [place for place in places if place is not None]
    assert 5 < len(standing) < 40
    for number, place in enumerate(standing):
        assert AREA[0] <= place[0] and AREA[1] <= place[1] and place[2] <= AREA[2] and place[3] <= AREA[3]
        assert all(gap_between(place, other) >= 3 - 1e-9 for other in [*taken, *standing[:number]])
    for box, place in zip(wanted, places, strict=True):
        if place is not None:
            assert math.isclose(box[2] - box[0], place[2] - place[0])
            assert abs(box[1] - place[1]) < 4 * (box[3] - box[1] + 3)


def test_the_first_stays_the_second_moves_and_what_finds_no_place_is_dropped():
    box = (10.0, 50.0, 60.0, 60.0)
    places = arrange([box] * 9, AREA, 3.0)
    assert places[0] == box
    assert places[1] == (10.0, 37.0, 60.0, 47.0) and places[2] == (10.0, 63.0, 60.0, 73.0)
    assert [place is None for place in places] == [False] * 7 + [True] * 2
    assert arrange([(0.0, 0.0, 400.0, 10.0)], AREA, 3.0) == [None]
