"""The memmap step by step: only what changed is decoded, and the end is that of a fresh look."""

import numpy as np
import pytest

from qemu_bridge.kernel.columns import KernelColumns
from qemu_bridge.kernel.memmap import MemMap
from qemu_bridge.wire.records import PageClass


@pytest.mark.guest
def test_a_second_update_decodes_only_what_changed(machine):
    with machine.paused():
        memmap = MemMap(KernelColumns(machine.ram, machine.kernel))
        assert memmap.update() == slice(None)
        known = memmap.page_class.copy()
        assert len(memmap.update()) == 0
    machine.exec("head -c 3145728 /dev/urandom > /tmp/memmap-test")
    changed = memmap.update()
    assert 0 < len(changed) < machine.ram.page_count
    untouched = np.ones(machine.ram.page_count, bool)
    untouched[changed] = False
    assert (memmap.page_class[untouched] == known[untouched]).all()
    new = (memmap.page_class == PageClass.SHMEM) & (known != PageClass.SHMEM)
    assert new.sum() >= 700
    machine.exec("rm /tmp/memmap-test")


@pytest.mark.guest
def test_updates_step_by_step_end_where_a_fresh_look_ends(machine):
    memmap = MemMap(KernelColumns(machine.ram, machine.kernel))
    for step in range(4):
        machine.exec(f"head -c {(step + 1) << 20} /dev/urandom > /tmp/memmap-test; sync")
        memmap.update()
    machine.exec("rm /tmp/memmap-test")
    with machine.paused():
        memmap.update()
        fresh = MemMap(KernelColumns(machine.ram, machine.kernel))
        fresh.update()
    for column in ("page_class", "flags", "key", "continues"):
        differs = np.flatnonzero(getattr(memmap, column) != getattr(fresh, column))
        assert not len(differs), (column, differs[:10], PageClass(memmap.page_class[differs[0]]))
