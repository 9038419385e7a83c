"""Records decoded: blocks and compound pages."""

import numpy as np
import pytest

from qemu_bridge.kernel.columns import KernelColumns
from qemu_bridge.kernel.memmap import MemMap, PageColumns, among
from qemu_bridge.wire.page_map import FLAG_HEAD, FLAG_HUGE, ORDER_SHIFT
from qemu_bridge.wire.records import PageClass


@pytest.mark.guest
def test_blocks_are_aligned_and_tails_are_like_their_heads(machine):
    with machine.paused():
        memmap = MemMap(KernelColumns(machine.ram, machine.kernel))
        memmap.update()
    heads = np.flatnonzero(memmap.flags & FLAG_HEAD)
    orders = memmap.flags[heads] >> ORDER_SHIFT
    assert (heads % (1 << orders.astype(np.int64)) == 0).all()
    compound = heads[(memmap.flags[heads] & FLAG_HUGE) != 0]
    for head in compound.tolist():
        rest = slice(head + 1, head + (1 << (int(memmap.flags[head]) >> ORDER_SHIFT)))
        assert (memmap.page_class[rest] == memmap.page_class[head]).all() and (
            memmap.key[rest] == memmap.key[head]
        ).all()
        assert (memmap.flags[rest] & FLAG_HUGE != 0).all() and (memmap.flags[rest] & FLAG_HEAD == 0).all()
    assert len(compound) > 100


def test_among_finds_the_pages_of_any_of_the_classes():
    classes = np.array([PageClass.FREE, PageClass.SLAB, PageClass.SHMEM], np.uint8)
    assert among(classes, PageClass.SLAB, PageClass.SHMEM).tolist() == [False, True, True]


def test_pages_without_a_record_are_other_and_carry_nothing():
    columns = PageColumns.unknown(3)
    columns.page_class[:], columns.flags[:], columns.key[:], columns.continues[:] = PageClass.SLAB, 1, 2, True
    columns.clear(np.array([1]))
    assert columns.page_class.tolist() == [PageClass.SLAB, PageClass.OTHER, PageClass.SLAB]
    assert columns.flags.tolist() == [1, 0, 1] and columns.key.tolist() == [2, 0, 2]
    assert columns.continues.tolist() == [True, False, True]
