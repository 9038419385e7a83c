"""Where struct page keeps what, and what each release means by a page type."""

import numpy as np
import pytest
from memory_samples import BtfWriter

from qemu_bridge.kernel.memmap import PageLayout, PageTypes, compound_head, read_page_types
from qemu_bridge.kernel.symbols.btf import parse_btf

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


@pytest.mark.parametrize("order", [1, 3, 9, 18])
def test_a_tail_leads_to_its_head_by_address_or_by_mask(order):
    memmap, size = 0xFFFFEA0000000000, 64
    head = memmap + (size << order) * 3
    mask = (1 << 64) - (size << order)
    for tail in (head + size, head + (size << order) - size):
        assert compound_head(tail, head | 1) == compound_head(tail, mask | 1) == head
    assert compound_head(head, 0) == head


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
