"""Overlays on memory with words exchanged at random: each ends in time, without an exception."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest

from qemu_bridge.introspection.overlays import OverlayContext, find_overlays, read_overlay
from qemu_bridge.kernel.budget import Budget
from qemu_bridge.kernel.symbols import KernelSymbols
from qemu_bridge.memory.paging import PageTables
from qemu_bridge.memory.ram import GuestRam

pytestmark = pytest.mark.guest


@pytest.fixture
def copy(machine, tmp_path):
    """A copy of the guest's RAM that may be damaged."""
    path = tmp_path / "guest.ram"
    with machine.paused():
        machine.ram.copy_to(path)
    return GuestRam(path, machine.ram.layout)


def damage(ram: GuestRam, pages: np.ndarray, rng: random.Random, count: int) -> None:
    """Overwrite `count` words in `pages` with other words of theirs, or with noise."""
    with open(ram.path, "r+b") as file:
        for _ in range(count):
            page = int(pages[rng.randrange(len(pages))])
            offset = (page << 12) + rng.randrange(512) * 8
            source = (int(pages[rng.randrange(len(pages))]) << 12) + rng.randrange(512) * 8
            word = ram.view[source : source + 8].tobytes() if rng.random() < 0.7 else rng.randbytes(8)
            file.seek(offset)
            file.write(word)


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_guest_ends_every_query_in_time_without_an_exception(machine, copy, seed):
    """Words of the pages that queries read are exchanged at random, again and again."""
    kernel = _on(copy, KernelSymbols.load(machine.ram))
    context = OverlayContext(copy, kernel)
    rng = random.Random(seed)
    names = ("processes", "areas", "modules", "kernel-stacks")
    asked = [*(find_overlays().find(name) for name in names)]
    for overlay in asked:
        read_overlay(overlay, context, Budget())
    read = [page << 12 for page, content in context.objects._pages.items() if content]
    touched = [context.objects.physical(address) for address in read]
    pages = np.array(
        sorted({copy.layout.to_offset(page) >> 12 for page in touched if page is not None and page < copy.size})
    )
    for _ in range(3):
        damage(copy, pages, rng, 30)
        for overlay in asked:
            context.forget()
            started = time.process_time()
            table = read_overlay(overlay, context, Budget(time_s=2.0))
            assert len(table.rows) <= 1 << 17 and len(table.skipped) <= 20
            assert time.process_time() - started < 4


def _on(ram: GuestRam, kernel: KernelSymbols) -> KernelSymbols:
    """The same kernel's symbols over another RAM: loading would refuse what is damaged."""
    kernel.ram = ram
    kernel.page_tables = PageTables(ram, kernel.page_tables.root, kernel.page_tables.levels)
    return kernel
