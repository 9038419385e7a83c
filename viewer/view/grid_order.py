"""The order of the voxel grid: how fine it is for so much RAM.

A grid of order n is a cube of 2^n voxels a side. RAM of more bytes than the grid has voxels is coarsened: a voxel stands for
8^k consecutive bytes, which are a small cube themselves.
"""

from __future__ import annotations

from qemu_bridge.errors import UsageError
from qemu_bridge.memory.addresses import PAGE_SHIFT, format_size

from .curve import order_for

MIN_ORDER = 6
MAX_ORDER = 10
MAX_COARSENING = 3


def choose_order(ram_size: int, order: int | None = None) -> tuple[int, int]:
    """(order, coarsening) of the grid for `ram_size` bytes; the finest that fits where `order` is None.

    Raises `UsageError` for an order outside 6 to 10, or one so low that a voxel would stand for more than 512 bytes.
    """
    if ram_size <= 0:
        raise UsageError("a machine without RAM has no picture; give it some memory")
    wanted = max(order_for(ram_size), MIN_ORDER)
    order = min(wanted, MAX_ORDER) if order is None else order
    if not MIN_ORDER <= order <= MAX_ORDER:
        raise UsageError(f"a voxel grid of order {order} is not supported; use {MIN_ORDER} to {MAX_ORDER}")
    coarsening = max(wanted - order, 0)
    if coarsening > MAX_COARSENING:
        raise UsageError(
            f"order {order} is too coarse for {format_size(ram_size)} of RAM; use {wanted - MAX_COARSENING} or more"
        )
    return order, coarsening


def page_count(ram_size: int) -> int:
    """Pages of `ram_size` bytes, a last partial one included."""
    return -(-ram_size >> PAGE_SHIFT)
