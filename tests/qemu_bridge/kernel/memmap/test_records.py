"""The copy of a region's records: found through page tables, and copied only where they changed."""

from types import SimpleNamespace

import numpy as np
import pytest
from memory_samples import LEAF, Memory

from qemu_bridge.kernel.memmap.records import BLOCK, RegionRecords, as_slice, pages_in
from qemu_bridge.memory.addresses import PAGE_SIZE
from qemu_bridge.memory.paging import PageTables

VMEMMAP = 0xFFFFEA0000000000
RECORD = 64
PAGES_PER_BLOCK = BLOCK * RECORD // PAGE_SIZE


@pytest.fixture
def found(tmp_path):
    """4 MiB of RAM, one block, whose records are mapped but for the last page of them."""
    memory = Memory(tmp_path, 4 << 20)
    root = memory.allocate()
    pages = [memory.allocate() for _ in range(PAGES_PER_BLOCK - 1)]
    for number, page in enumerate(pages):
        memory.map(root, VMEMMAP + number * PAGE_SIZE, page | LEAF)
    ram = memory.open()
    kernel = SimpleNamespace(page_tables=PageTables(ram, root))
    read = SimpleNamespace(ram=ram, kernel=kernel, vmemmap=VMEMMAP, add_piece=lambda *piece: None)
    return memory, ram, pages, RegionRecords(read, ram.layout.regions[0], RECORD)


def test_records_are_found_through_the_page_tables(found):
    _, _, pages, region = found
    assert (region.count, region.blocks) == (1024, 1)
    assert region.source.tolist() == [*(page >> 12 for page in pages), -1] and not region.has_records[0]


def test_only_blocks_that_changed_are_copied(found):
    _, ram, pages, region = found
    assert not region.copy_changed(ram, np.array([0])).any()
    with open(ram.path, "r+b") as file:
        file.seek(pages[2] + 3 * RECORD + 8)
        file.write((0x1122334455667788).to_bytes(8, "little"))
    assert region.copy_changed(ram, np.array([0])).tolist() == [True]
    row = 2 * PAGE_SIZE // RECORD + 3
    assert region.u64(slice(0, 1), 8)[row] == region.words[row, 1] == 0x1122334455667788
    assert region.u32(slice(0, 1), 12)[row] == 0x11223344 and region.u8(slice(0, 1), 8)[row] == 0x88
    assert not region.copy_changed(ram, np.array([0])).any()


def test_blocks_in_one_piece_are_a_slice():
    assert as_slice(np.array([3, 4, 5])) == slice(3, 6)
    assert as_slice(np.array([3, 5])).tolist() == [3, 5]
    assert pages_in(np.array([2])).tolist() == list(range(2 * BLOCK, 3 * BLOCK))
