"""Sources of targets and places made by hand."""

import numpy as np
import pytest
from memory_samples import LEAF, Memory
from target_samples import PAGES, HandMade

from qemu_bridge.memory.addresses import VirtualAddress
from qemu_bridge.wire.records import MemoryMapping, PageClass


@pytest.fixture
def plain():
    return HandMade([int(PageClass.SLAB)] * PAGES, [(1 << 24) + 2] * PAGES)


@pytest.fixture
def mapped(tmp_path):
    """Process 1 maps page 40 twice, page 41 as its heap, half of a 2 MiB page that lies outside RAM, and nothing else."""

    memory = Memory(tmp_path, PAGES << 12)
    root = memory.allocate()
    memory.map(root, 0x400000, 40 << 12 | LEAF)
    memory.map(root, 0x7FF000000000, 40 << 12 | LEAF)
    memory.map(root, 0x500000, 41 << 12 | LEAF)
    memory.map(root, 0x600000, (1 << 30) | LEAF | 1 << 7, level=2)
    memory.map(root, 0x2000, 42 << 12 | LEAF)
    areas = [
        MemoryMapping(VirtualAddress(0x400000), VirtualAddress(0x401000), "r-xp", 0, "00:02", 7, "/bin/sh"),
        MemoryMapping(VirtualAddress(0x500000), VirtualAddress(0x502000), "rw-p", 0, "00:00", 0, "[heap]"),
        MemoryMapping(VirtualAddress(0x7FF000000000), VirtualAddress(0x7FF000002000), "rw-p", 0, "00:00", 0, ""),
    ]
    classes = np.full(PAGES, PageClass.OTHER)
    classes[40] = PageClass.PROCESS_TEXT
    return HandMade(classes, [0] * PAGES, memory.open(), root, areas)
