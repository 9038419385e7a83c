"""Page tables of many address spaces at once."""

import struct
import tracemalloc
from types import SimpleNamespace

import numpy as np

from qemu_bridge.introspection.classes.walk import walk
from qemu_bridge.memory.addresses import PAGE_SIZE, RamLayout
from qemu_bridge.memory.paging import MAX_MAPPINGS, MAX_TABLES
from qemu_bridge.memory.ram import GuestRam


def test_tables_that_point_at_themselves_take_a_bounded_part_of_memory(tmp_path):
    path = tmp_path / "ram"
    path.write_bytes(struct.pack("<Q", 0x1000 | 7) * 512 * 4)
    ram = GuestRam(path, RamLayout.from_rule("pc", 4 * PAGE_SIZE))
    tables = SimpleNamespace(page_tables=SimpleNamespace(levels=4))
    read = SimpleNamespace(kernel=tables, ram=ram, resident=np.ones(4, np.bool_))
    tracemalloc.start()
    try:
        found = walk(read, np.array([1], np.uint64), slice(0, 256))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert not found.complete and len(found.table_page) <= MAX_TABLES and len(found.page) <= MAX_MAPPINGS
    # The tables themselves twice, and what they map.
    assert peak < (3 * MAX_TABLES * PAGE_SIZE) + 64 * MAX_MAPPINGS, f"{peak >> 20} MiB"
