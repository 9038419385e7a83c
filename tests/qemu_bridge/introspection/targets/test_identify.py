"""Identifying places on page maps and page tables made by hand."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from target_samples import OWNERS, PAGES, as_set, maps

from qemu_bridge.errors import UsageError
from qemu_bridge.introspection.targets import (
    describe_ranges,
    identify_place,
    parse_place,
    parse_target,
    resolve_target,
)
from qemu_bridge.introspection.targets.format import quote_name
from qemu_bridge.introspection.targets.grammar import CLASSES
from qemu_bridge.wire.page_map import FLAG_HUGE
from qemu_bridge.wire.records import Place


@settings(max_examples=60)
@given(maps, st.integers(0, PAGES - 1))
def test_where_and_whose_agree_on_any_page_map(sources, page):
    place = identify_place(parse_place(f"pa:{page << 12:#x}"), sources)
    assert msgspec.json.decode(msgspec.json.encode(place), type=Place) == place
    label = place.page_class
    if label in CLASSES:
        rows = describe_ranges(
            resolve_target(parse_target(f"class:{label} & pa:{place.physical:#x}"), sources), sources, by_page=True
        )
        assert [(row.physical, row.size, row.page_class) for row in rows] == [(page << 12, 4096, place.page_class)]
    for owner in place.owners:
        if owner.kind in ("slab", "file", "module"):
            target = parse_target(f"{owner.kind}:{quote_name(owner.name)}")
            assert page << 12 in as_set(resolve_target(target, sources))


def test_a_place_lists_every_way_to_it(mapped):
    place = identify_place(parse_place("0x400123", 1), mapped)
    assert (place.physical, place.virtual, place.page_class) == ((40 << 12) + 0x123, 0x400123, "process-text")
    assert [(row.virtual, row.area, row.permissions) for row in place.mappings] == [
        (0x400123, "/bin/sh", "r-xp"),
        (0x7FF000000123, "", "rw-p"),
    ]
    assert [owner.name for owner in place.owners] == ["init"]


def test_a_place_that_is_not_there_is_an_error_with_advice(mapped):
    for text in ("va:0x9000@pid:1", "va:0x1000@pid:2", "pa:0x100000000", "nosuchsymbol", "va:0x600000@pid:1"):
        with pytest.raises(UsageError, match=";"):
            identify_place(parse_place(text), mapped)


def test_a_page_of_a_file_has_a_path_and_an_offset(mapped):
    mapped.page_map.entries["owner_id"][40] = OWNERS[6].owner_id
    mapped.page_map.entries["flags"][40] = FLAG_HUGE | 9 << 4
    place = identify_place(parse_place("pa:0x28010"), mapped)
    assert (place.file, place.file_offset, place.order) == (OWNERS[6].name, (5 << 12) + 0x10, 9)
