"""Resolving targets on page maps and page tables made by hand."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from target_samples import OWNERS, PAGES, as_set, maps

from qemu_bridge.errors import UsageError
from qemu_bridge.introspection.targets import (
    describe_ranges,
    parse_target,
    resolve_target,
)
from qemu_bridge.introspection.targets.format import quote_name
from qemu_bridge.introspection.targets.grammar import CLASSES, KERNEL_PARTS
from qemu_bridge.introspection.targets.ranges import mask_to_ranges, total
from qemu_bridge.memory.addresses import PhysicalAddress
from qemu_bridge.memory.paging import PageTables
from qemu_bridge.wire.records import TargetMemory

atoms = st.sampled_from(
    [
        *(f"class:{label}" for label in CLASSES),
        *(f"kernel.{part}" for part in KERNEL_PARTS),
        *("kernel", "all", "free", "slab:dentry", "module:virtio_net", "pid:1/kernelstack", "comm:init/kernelstack"),
        *("pa:0x3000", "pa:0x3fff+2", "pa:5+100", "pa:0xfffffffffffff000", "file:" + quote_name(OWNERS[6].name)),
    ]
)


trees = st.recursive(atoms, lambda inner: st.tuples(st.sampled_from("+-&"), inner, inner), max_leaves=8)


def write(tree):
    return tree if isinstance(tree, str) else f"({write(tree[1])}) {tree[0]} ({write(tree[2])})"


def as_bytes(tree, sources):
    """The same with Python's sets, byte by byte."""
    if not isinstance(tree, str):
        left, right = as_bytes(tree[1], sources), as_bytes(tree[2], sources)
        return {"+": left | right, "-": left - right, "&": left & right}[tree[0]]
    return as_set(resolve_target(parse_target(tree), sources))


@settings(max_examples=60)
@given(maps, trees)
def test_targets_obey_the_laws_of_sets_on_any_page_map(sources, tree):
    text = write(tree)
    found = resolve_target(parse_target(text), sources, text)
    assert as_set(found) == as_bytes(tree, sources)
    rows = describe_ranges(found, sources)
    assert as_set([(row.ram_offset, row.ram_offset + row.size) for row in rows]) == as_set(found)
    for row in rows:
        classes = sources.page_map.entries["page_class"][row.ram_offset >> 12 : row.ram_offset + row.size + 4095 >> 12]
        assert len(set(classes.tolist())) == 1


@settings(max_examples=60)
@given(maps)
def test_classes_part_all_of_ram(sources):
    parts = [resolve_target(parse_target(f"class:{label}"), sources) for label in CLASSES]
    strange = mask_to_ranges(sources.page_map.entries["page_class"] == 200)
    assert sum(map(total, [*parts, strange])) == PAGES << 12


@pytest.mark.parametrize(
    ("text", "column", "near"),
    [
        ("all - comm:inut", 12, "init"),
        ("comm:'we-pid:1 & (even)'", 6, '"we-pid:1 & (odd)\\x0a'),
        ("pid:11", 5, "glassbox ps"),
        ("slab:dentri", 6, "dentry"),
        ("slab:den", 6, "dentry"),
        ("module:virtio-net", 8, "virtio_net"),
        ("free + sym:init_tusk", 12, "init_task"),
        ("file:/bin/sh", 6, "did you mean"),
        ("file:/etc/nothing", 6, "as process 1 sees it"),
        ("va:0x1000@pid:99", 15, "glassbox ps"),
        ("all & comm:*inut", 12, "did you mean init"),
        ("comm:'i*'", 6, "glassbox ps"),
        ("file:/usr/*.so*", 6, "as process 1 sees it"),
        ("slab:?entr", 6, "did you mean dentry"),
        ("module:x*", 8, "glassbox modules"),
        ("sym:init_?", 5, "no kernel symbol matches at"),
    ],
)
def test_an_unknown_name_is_named_with_its_neighbours(text, column, near, plain):
    with pytest.raises(UsageError) as caught:
        resolve_target(parse_target(text), plain, text)
    message = str(caught.value)
    assert f" at column {column}, " in message and near in message and "\n" not in message


def test_nothing_is_an_answer(plain):
    assert describe_ranges(resolve_target(parse_target("free"), plain), plain) == []
    assert describe_ranges(resolve_target(parse_target("pid:2/heap + va:0x1000@pid:2"), plain), plain) == []


@pytest.mark.parametrize(
    ("text", "pages"),
    [
        ("pid:1", [40, 41, 42]),
        ("pid:1/heap", [41]),
        ("comm:init/text", [40]),
        ("pid:1/anonymous", [40]),
        ("pid:1/text - pid:1/anonymous", []),
        ("pid:1/stack", []),
        ("va:0x400000@pid:1", [40]),
        ("va:0+0x500000@pid:1", [40, 42]),
        ("va:0+512M@pid:1", [40, 41, 42]),
        ("va:0x600000+2M@pid:1", []),
        ("va:0+0xffffffffffffffff@pid:1", [40, 41, 42]),
    ],
)
def test_what_a_process_maps_is_found_by_its_page_tables(text, pages, mapped):
    found = resolve_target(parse_target(text), mapped)
    assert as_set(found) == {byte for page in pages for byte in range(page << 12, page + 1 << 12)}


@pytest.mark.parametrize(
    ("pattern", "all_of"),
    [
        ("comm:in?t/heap + comm:s*", "comm:init/heap + comm:sh"),
        ("comm:*/text", "comm:init/text"),
        ("slab:*", "slab:dentry"),
        ("slab:d*t?y", "slab:dentry"),
        ("file:/bin/*", "file:" + quote_name(OWNERS[6].name)),
        ("module:virtio*", "module:virtio_net"),
        ("class:process-*", " + ".join(f"class:{label}" for label in CLASSES if label.startswith("process-"))),
        ("sym:init_*", "sym:init_task"),
        ("all - sym:*_task", "all - sym:init_task"),
    ],
)
def test_a_pattern_is_all_that_it_matches(pattern, all_of, plain, mapped):
    for sources in (plain, mapped):
        one, other = (resolve_target(parse_target(text), sources).tolist() for text in (pattern, all_of))
        assert one == other and sources.notes == []
    assert len(resolve_target(parse_target(pattern), mapped)) or pattern.startswith(("slab:", "file:", "module:"))


def test_of_a_pattern_that_matches_too_much_the_first_are_taken_and_it_is_said(mapped, monkeypatch):
    monkeypatch.setattr("qemu_bridge.introspection.targets.resolve.MAX_MATCHES", 2)
    resolve_target(parse_target("comm:* + sym:*i*"), mapped)
    assert mapped.notes == [f"only the first 2 that match {term} are taken" for term in ("comm:*", "sym:*i*")]


def test_a_symbol_is_its_bytes_and_no_more(mapped):
    rows = describe_ranges(resolve_target(parse_target("sym:init_task"), mapped), mapped)
    assert [(row.physical, row.size) for row in rows] == [(42 << 12, 0x20)]


def test_page_tables_are_the_pages_that_a_walk_passes(mapped):
    found = resolve_target(parse_target("pid:1/pagetables"), mapped)
    assert found.tolist()[0][0] == mapped.root and total(found) == 4096 * len(
        PageTables(mapped.ram, PhysicalAddress(mapped.root)).table_frames().frame
    )


def test_the_answer_to_where_survives_the_wire(mapped):
    rows = tuple(describe_ranges(resolve_target(parse_target("all"), mapped), mapped))
    answer = TargetMemory(rows, PAGES << 12, 3)
    assert msgspec.json.decode(msgspec.json.encode(answer), type=TargetMemory) == answer


def test_too_many_rows_are_cut_and_said(mapped, monkeypatch):
    monkeypatch.setattr("qemu_bridge.introspection.targets.resolve.MAX_ROWS", 5)
    assert len(describe_ranges(resolve_target(parse_target("all"), mapped), mapped, by_page=True)) == 5
    assert mapped.notes == ["only the first 5 of 64 ranges are listed"]
