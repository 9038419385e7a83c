"""The order of the grid follows from the size of RAM."""

from __future__ import annotations

import pytest

from qemu_bridge.errors import UsageError
from viewer.view.grid_order import choose_order, page_count


def test_order_follows_from_the_size_of_ram():
    assert choose_order(128 << 20) == (9, 0)
    assert choose_order(1 << 30) == (10, 0)
    assert choose_order(4 << 30) == (10, 1)
    assert choose_order(1) == (6, 0)


@pytest.mark.parametrize(("size", "order"), [(0, None), (1 << 20, 5), (1 << 20, 11), (16 << 30, 6)])
def test_impossible_orders_are_refused(size, order):
    with pytest.raises(UsageError):
        choose_order(size, order)


def test_page_count_rounds_up():
    assert [page_count(n) for n in (1, 4096, 4097)] == [1, 1, 2]
