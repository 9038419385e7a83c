"""The memmap, decoded: what each release means by a page type; against the guest's own word see test_page_kinds."""

import numpy as np
import pytest
from memory_samples import BtfWriter

from qemu_bridge.kernel.columns import KernelColumns
from qemu_bridge.kernel.memmap import MemMap, PageLayout, PageTypes, read_page_types
from qemu_bridge.kernel.symbols.btf import parse_btf
from qemu_bridge.wire.page_map import FLAG_HEAD, FLAG_HUGE, ORDER_SHIFT
from qemu_bridge.wire.records import PageClass

CLEARED_BITS = PageTypes(False, 0xF0000000, 0x80, 0x100, 0x200, 0, 0)
TOP_BYTE = PageTypes(True, 0, 0xF0, 0xF1, 0xF2, 0xF4, 0xF5)


@pytest.mark.parametrize(
    ("types", "word", "kinds"),
    [
        (CLEARED_BITS, -129, ("buddy",)),
        (CLEARED_BITS, -257, ("offline",)),
        (CLEARED_BITS, ~0x200, ("table",)),
        (CLEARED_BITS, -1, ()),
        (CLEARED_BITS, 0, ()),
        (CLEARED_BITS, 5, ()),
        (TOP_BYTE, 0xF0000000, ("buddy",)),
        (TOP_BYTE, 0xF2000000, ("table",)),
        (TOP_BYTE, 0xF5000010, ("slab",)),
        (TOP_BYTE, -1, ()),
        (TOP_BYTE, 3, ()),
    ],
)
def test_a_page_type_is_told_from_a_count_of_mappings(types, word, kinds):
    words = np.array([word & 0xFFFFFFFF], np.uint32)
    found = [k for k in ("buddy", "offline", "table", "hugetlb", "slab") if types.match(words, getattr(types, k))[0]]
    assert tuple(found) == kinds


def types_of(release, **enumerations):
    writer = BtfWriter()
    writer.integer("int", 4)
    for name, values in enumerations.items():
        writer.enumeration(name, values)
    return read_page_types(parse_btf(writer.section()), release)


@pytest.mark.parametrize(
    ("release", "enumerations", "expected"),
    [
        ("6.1.0-56-cloud", {"pageflags": {"PG_slab": 9}, "compound_dtor_id": {"HUGETLB_PAGE_DTOR": 2}}, CLEARED_BITS),
        ("6.9.0", {"pageflags": {"PG_slab": 9}}, PageTypes(False, 0xF0000000, 0x80, 0x100, 0x200, 0x800, 0)),
        ("6.10.3", {"pageflags": {"PG_lru": 4}}, PageTypes(False, 0xF0000000, 0x80, 0x100, 0x200, 0x800, 0x1000)),
        (
            "6.12.0",
            {"pagetype": {"PGTY_buddy": 0xF0, "PGTY_offline": 0xF1, "PGTY_table": 0xF2, "PGTY_hugetlb": 0xF4, "PGTY_slab": 0xF5}},
            TOP_BYTE,
        ),
    ],
)  # fmt: skip
def test_each_release_has_its_encoding_of_page_types(release, enumerations, expected):
    assert types_of(release, **enumerations) == expected


@pytest.mark.guest
def test_offsets_are_those_that_the_kernel_states_in_its_note(each_machine):
    machine = each_machine
    layout, values = PageLayout.read(machine.kernel), machine.kernel.info.values
    stated = {
        "flags": layout.flags,
        "mapping": layout.mapping,
        "private": layout.private,
        "_mapcount": layout.page_type,
    }
    assert {name: int(values[f"OFFSET(page.{name})"]) for name in stated} == stated
    assert int(values["SIZE(page)"]) == layout.size
    buddy = np.array([int(values["NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)"]) & 0xFFFFFFFF], np.uint32)
    assert layout.types.match(buddy, layout.types.buddy)[0]


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
