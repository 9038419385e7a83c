"""Targets: what is written is what is read, sets obey the laws of sets, and an error says where."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qemu_bridge.errors import AddressError, UsageError
from qemu_bridge.introspection.targets import (
    GuestSources,
    complete_target,
    describe_ranges,
    identify_place,
    parse_place,
    parse_target,
    resolve_target,
    skipped,
)
from qemu_bridge.introspection.targets.grammar import (
    CLASSES,
    KERNEL_PARTS,
    MAX_DEPTH,
    MAX_LENGTH,
    PROCESS_PARTS,
    Combined,
    Named,
    Span,
    SymbolPlace,
    format_target,
    quote_name,
)
from qemu_bridge.introspection.targets.ranges import combine, cut, mask_to_ranges, physical_to_ranges, to_ranges, total
from qemu_bridge.memory.addresses import GIB, PhysicalAddress, RamLayout, VirtualAddress
from qemu_bridge.memory.paging import PageTables
from qemu_bridge.wire.page_map import ENTRY, FLAG_HUGE, PageMap
from qemu_bridge.wire.records import MemoryMapping, Owner, PageClass, Place, Process, Symbol, TargetMemory, to_json

# --- the grammar -----------------------------------------------------------------------------------------

U64 = (1 << 64) - 1
letters = st.text(st.characters() | st.sampled_from("+-&()/ '\"\\\n@:"), min_size=1, max_size=20)
likely = st.sampled_from(
    ["httpd", "/bin/busybox", "kworker/0:1", "sh-pid:1", "a & b", "x/stack", "-", "libc++.so", "é\u2028"]
)
names = letters | likely
numbers = st.integers(0, 9_999_999_999)


def spans():
    return st.builds(
        lambda start, size, is_virtual, pid: Span(
            start, None if size is None else min(size, U64 + 1 - start, U64), is_virtual, pid if is_virtual else None
        ),
        st.integers(0, U64),
        st.none() | st.integers(1, U64) | st.integers(1, 99).map(lambda n: n << 20),
        st.booleans(),
        st.none() | numbers,
    )


terms = st.one_of(
    spans(),
    st.builds(Named, st.sampled_from(["file", "slab", "module", "sym"]), names),
    st.builds(Named, st.just("comm"), names, st.sampled_from(["", *PROCESS_PARTS])),
    st.builds(Named, st.just("pid"), numbers.map(str), st.sampled_from(["", *PROCESS_PARTS])),
    st.builds(Named, st.just("class"), st.sampled_from(sorted(CLASSES))),
    st.builds(Named, st.just("kernel"), st.sampled_from(["", *KERNEL_PARTS])),
    st.builds(Named, st.sampled_from(["all", "free"])),
)
targets = st.recursive(terms, lambda inner: st.builds(Combined, st.sampled_from("+-&"), inner, inner), max_leaves=12)


@settings(max_examples=500, deadline=None)
@given(targets)
def test_a_target_that_is_written_is_read_as_itself(target):
    assert parse_target(format_target(target)) == target


@settings(max_examples=500, deadline=None)
@given(st.text(st.sampled_from("pid:1/heapkrnl.tx+-&() '\"\\@0xK~é\n") | st.characters(), max_size=40))
def test_any_text_is_a_target_or_an_error_of_one_line_with_a_column(text):
    try:
        target = parse_target(text)
    except UsageError as error:
        assert "\n" not in str(error)
        column = int(re.search(r" at column (\d+), ", str(error))[1])
        assert 1 <= column <= len(text) + 1
    else:
        assert parse_target(format_target(target)) == target


@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        ("pid:1+pid:2&pid:3", "pid:1 + (pid:2 & pid:3)"),
        ("pid:1-pid:2+pid:3", "(pid:1 - pid:2) + pid:3"),
        ("pid:1-pid:2&pid:3-pid:4", "(pid:1 - (pid:2 & pid:3)) - pid:4"),
        ("pa:4096+8K", "pa:0x1000+0x2000"),
        ("pa:0x1000 + 8K+pid:1", "(pa:4096+8192) + pid:1"),
        ("\tall\n-free ", "all - free"),
        ("comm:httpd/stack", "comm:'httpd'/stack"),
        ("comm:kworker/0:1", 'comm:"kworker/0:1"'),
        ("file:/usr/lib/libstdc++.so.6", 'file:"/usr/lib/libstdc++.so.6"'),
        ("file:/a-b-free", "file:'/a-b-free'"),
        ("file:/a-b -free", "file:'/a-b' - free"),
        ("slab:kmalloc-64+slab:dentry", "slab:'kmalloc-64' + slab:'dentry'"),
        ("class:page-table-pid:1", "class:'page-table' - pid:1"),
        ("(file:/x)", "file:'/x'"),
        (r"file:'\'\\\x41\u00e9\n'", 'file:"\'\\\\Aé\\n"'),
        ("va:0x7f0000000000+2M@pid:80", "va:139637976727552+2097152@pid:80"),
    ],
)
def test_two_ways_to_write_the_same(text, same_as):
    assert parse_target(text) == parse_target(same_as)


def test_a_name_that_ends_like_a_part_is_quoted():
    assert parse_target("comm:a/stack") == Named("comm", "a", "stack")
    assert parse_target("comm:'a/stack'") == Named("comm", "a/stack")
    assert quote_name("a/stack", "comm") == '"a/stack"' and quote_name("a/stack") == "a/stack"


@pytest.mark.parametrize(
    ("text", "column", "hint"),
    [
        ("", 1, "pid:1"),
        ("pid:1 +", 8, "pid:1"),
        ("pid:1 + kid:2", 9, "did you mean pid:"),
        ("pid:x", 5, "glassbox ps"),
        ("pid:1/stak", 7, "did you mean stack"),
        ("comm:'a'/stak", 10, "did you mean stack"),
        ("kernel.txt", 8, "did you mean text"),
        ("kernel.", 8, "the parts are text"),
        ("kernels", 1, "did you mean kernel"),
        ("class:pagetable", 7, "did you mean page-table"),
        ("class:xyz", 7, "the classes are"),
        ("file:", 6, "quotes"),
        ("file:''", 6, "between the quotes"),
        ("all + file:'abc", 12, "close it with '"),
        (r"file:'\u12'", 7, "HH"),
        ("(pid:1 + (pid:2)", 17, "column 1 is open"),
        ("pid:1)", 6, "+, & or -"),
        ("pid:1 pid:2", 7, "+, & or -"),
        ("pa:0x12g", 4, "0x1f000"),
        ("pa:0x1ffffffffffffffff", 4, "0x1f000"),
        ("pa:0+0", 6, "8K"),
        ("pa:0+8X", 6, "8K"),
        ("pa:0xffffffffffffffff+2", 4, "smaller"),
        ("va:0x1000@comm:sh", 10, "@pid:"),
        ("(" * (MAX_DEPTH + 2), MAX_DEPTH + 2, "less"),
        ("+".join(["all"] * 257).replace("+", " + "), 6 * 256 + 1, "less"),
    ],
)
def test_an_error_says_at_which_column_and_what_to_try(text, column, hint):
    with pytest.raises(UsageError) as caught:
        parse_target(text)
    assert f" at column {column}, " in str(caught.value)
    assert hint in str(caught.value).split("; ", 1)[1]


def test_a_long_text_is_refused_at_once():
    with pytest.raises(UsageError, match="too long"):
        parse_target("(" * (MAX_LENGTH + 1))


@pytest.mark.parametrize(
    ("text", "pid", "place"),
    [
        ("0x1000", None, Span(0x1000)),
        (" 4096 ", None, Span(0x1000)),
        ("pa:0x1000", None, Span(0x1000)),
        ("0x1000", 7, Span(0x1000, None, True, 7)),
        ("va:0x1000", None, Span(0x1000, None, True)),
        ("va:0x1000@pid:7", None, Span(0x1000, None, True, 7)),
        ("va:0x1000", 7, Span(0x1000, None, True, 7)),
        ("init_task", None, SymbolPlace("init_task")),
        ("sym:init_task+0x10", None, SymbolPlace("init_task", 16)),
        ("init_task + 16", None, SymbolPlace("init_task", 16)),
    ],
)
def test_a_place_is_an_address_or_a_symbol(text, pid, place):
    assert parse_place(text, pid) == place


@pytest.mark.parametrize(
    ("text", "pid"), [("", None), ("0x1 2", None), ("pa:1", 7), ("init_task", 7), ("va:1@pid:2", 3)]
)
def test_what_is_no_place_is_an_error(text, pid):
    with pytest.raises(UsageError):
        parse_place(text, pid)


# --- sets ------------------------------------------------------------------------------------------------

BYTES = 60
sets = st.lists(st.tuples(st.integers(0, BYTES), st.integers(0, BYTES)), max_size=8)


def as_ranges(pairs):
    return to_ranges([a for a, _ in pairs], [b for _, b in pairs])


def as_set(ranges):
    return {byte for start, end in np.asarray(ranges).tolist() for byte in range(start, end)}


def is_canonical(ranges):
    flat = ranges.ravel()
    return ranges.dtype == np.int64 and bool((np.diff(flat) > 0).all())


@given(sets, sets)
def test_operators_are_those_of_sets(left, right):
    a, b = as_ranges(left), as_ranges(right)
    assert as_set(a) == as_set(left) and is_canonical(a)
    for operator, expected in (
        ("+", as_set(a) | as_set(b)),
        ("&", as_set(a) & as_set(b)),
        ("-", as_set(a) - as_set(b)),
    ):
        found = combine(operator, a, b)
        assert as_set(found) == expected and is_canonical(found) and total(found) == len(expected)


@given(sets, st.lists(st.integers(0, BYTES)))
def test_cutting_keeps_the_bytes_and_leaves_no_edge_inside(pairs, edges):
    whole = as_ranges(pairs)
    pieces = cut(whole, np.array(sorted(edges), np.int64))
    assert as_set(pieces) == as_set(whole) and total(pieces) == total(whole)
    assert not any(start < edge < end for start, end in pieces.tolist() for edge in edges)


@given(st.lists(st.tuples(st.integers(0, 9 * GIB), st.integers(1, 5 * GIB)), max_size=5))
def test_physical_ranges_keep_what_is_ram(pairs):
    layout = RamLayout.from_rule("q35", 5 * GIB)
    found = physical_to_ranges(
        layout, np.array([a for a, _ in pairs], np.int64), np.array([b for _, b in pairs], np.int64)
    )
    assert is_canonical(found) and (not len(found) or 0 <= found[0, 0] < found[-1, 1] <= layout.size)
    for start, size in pairs:
        for physical in (start, start + size - 1):
            try:
                offset = layout.to_offset(PhysicalAddress(physical))
            except AddressError:
                continue
            assert any(first <= offset < end for first, end in found.tolist())


# --- targets on a page map made by hand ------------------------------------------------------------------

PAGES = 64
OWNERS = (
    Owner(0, 0, "", "nobody"),
    Owner(1, 0, "kernel", "kernel"),
    Owner(2, 1, "init"),
    Owner(1 << 24, 1, "init", "page-table"),
    Owner((1 << 24) + 1, 1, "init", "stack"),
    Owner((1 << 24) + 2, 0, "dentry", "slab"),
    Owner((1 << 24) + 3, 0, "/bin/sh -c 'x' + \"y\"\n", "file", "00:01:7"),
    Owner((1 << 24) + 4, 0, "virtio_net", "module"),
)
NAMES = ["init", "sh", "sh", "we-pid:1 & (odd)\n\"'é", "kworker/0:1"]


class HandMade:
    """`Sources` without a guest: RAM of 64 pages, five processes, three symbols."""

    def __init__(self, page_class, owner_id, ram=None, root=None, areas=()):
        entries = np.zeros(PAGES, ENTRY)
        entries["page_class"], entries["owner_id"] = page_class, owner_id
        self.page_map = PageMap(entries, {owner.owner_id: owner for owner in OWNERS}, 3)
        self.layout = RamLayout.from_rule("pc", PAGES << 12)
        self.notes, self.ram, self.root, self.areas = [], ram, root, list(areas)

    def has_time(self):
        return True

    def processes(self):
        return [
            Process(pid, 0, 0, "S", name, "", self.root if pid == 1 else None, 1, 0)
            for pid, name in enumerate(NAMES, start=1)
        ]

    def mappings(self, pid):
        return self.areas

    def page_tables(self, pid):
        if pid is not None and not 1 <= pid <= len(NAMES):
            raise UsageError("no such process; try another")
        return PageTables(self.ram, PhysicalAddress(self.root)) if self.root and pid in (None, 1) else None

    def has_second_root(self):
        return False

    def symbol_extents(self, name):
        return [(VirtualAddress(0x2000), 0x20)] if name == "init_task" else []

    def symbol_names(self, beginning, limit):
        return [name for name in ("init_task", "init_mm", "jiffies") if name.startswith(beginning)]

    def symbol_at(self, virtual):
        return Symbol("init_task", VirtualAddress(0x2000), "D", virtual - 0x2000)

    def kernel_address(self, physical):
        return VirtualAddress(physical)

    def slab_object(self, physical):
        return None

    def file_index(self, page):
        return 5


maps = st.builds(
    HandMade,
    st.lists(st.sampled_from([int(each) for each in PageClass] + [200]), min_size=PAGES, max_size=PAGES),
    st.lists(st.sampled_from([owner.owner_id for owner in OWNERS] + [99]), min_size=PAGES, max_size=PAGES),
)
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


@settings(max_examples=60, deadline=None)
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


@settings(max_examples=60, deadline=None)
@given(maps)
def test_classes_part_all_of_ram(sources):
    parts = [resolve_target(parse_target(f"class:{label}"), sources) for label in CLASSES]
    strange = mask_to_ranges(sources.page_map.entries["page_class"] == 200)
    assert sum(map(total, [*parts, strange])) == PAGES << 12


@settings(max_examples=60, deadline=None)
@given(maps, st.integers(0, PAGES - 1))
def test_where_and_whose_agree_on_any_page_map(sources, page):
    place = identify_place(parse_place(f"pa:{page << 12:#x}"), sources)
    assert Place.from_json(to_json(place)) == place
    label = place.page_class.replace(" ", "-")
    if label in CLASSES:
        rows = describe_ranges(
            resolve_target(parse_target(f"class:{label} & pa:{place.physical:#x}"), sources), sources, by_page=True
        )
        assert [(row.physical, row.size, row.page_class) for row in rows] == [(page << 12, 4096, place.page_class)]
    for owner in place.owners:
        if owner.kind in ("slab", "file", "module"):
            target = parse_target(f"{owner.kind}:{quote_name(owner.name)}")
            assert page << 12 in as_set(resolve_target(target, sources))


@pytest.fixture
def plain():
    return HandMade([int(PageClass.SLAB)] * PAGES, [(1 << 24) + 2] * PAGES)


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
    ("prefix", "expected"),
    [
        ("", "pid:"),
        ("ke", "kernel.text"),
        ("kernel.te", "kernel.text"),
        ("pid:1 + kernel.st", "pid:1 + kernel.stack"),
        ("slab:d", "slab:dentry"),
        ("all-class:page-t", "all-class:page-table"),
        ("pid:1/he", "pid:1/heap"),
        ("(comm:init/", "(comm:init/stack"),
        ("sym:init_t", "sym:init_task"),
        ("file:", "file:" + quote_name(OWNERS[6].name)),
        ('comm:"we', "comm:" + quote_name(NAMES[3])),
    ],
)
def test_a_beginning_is_completed_to_targets_that_can_be_read(prefix, expected, plain):
    found = complete_target(prefix, plain)
    assert expected in found and all(each.startswith(prefix) for each in found)


def test_completion_has_no_answer_to_noise(plain):
    assert complete_target("pid:1 + zzz", plain) == [] and complete_target("((((", plain)[0].startswith("((((")


# --- page tables made by hand ----------------------------------------------------------------------------


@pytest.fixture
def mapped(tmp_path):
    """Process 1 maps page 40 twice, page 41 as its heap, half of a 2 MiB page that lies outside RAM, and nothing else."""
    from memory_samples import LEAF, Memory

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


def test_a_symbol_is_its_bytes_and_no_more(mapped):
    rows = describe_ranges(resolve_target(parse_target("sym:init_task"), mapped), mapped)
    assert [(row.physical, row.size) for row in rows] == [(42 << 12, 0x20)]


def test_page_tables_are_the_pages_that_a_walk_passes(mapped):
    found = resolve_target(parse_target("pid:1/pagetables"), mapped)
    assert found.tolist()[0][0] == mapped.root and total(found) == 4096 * len(
        PageTables(mapped.ram, PhysicalAddress(mapped.root)).table_frames().frame
    )


def test_a_place_lists_every_way_to_it(mapped):
    place = identify_place(parse_place("0x400123", 1), mapped)
    assert (place.physical, place.virtual, place.page_class) == ((40 << 12) + 0x123, 0x400123, "process text")
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


def test_the_answer_to_where_survives_the_wire(mapped):
    rows = tuple(describe_ranges(resolve_target(parse_target("all"), mapped), mapped))
    answer = TargetMemory(rows, PAGES << 12, 3)
    assert TargetMemory.from_json(to_json(answer)) == answer


def test_too_many_rows_are_cut_and_said(mapped, monkeypatch):
    monkeypatch.setattr("qemu_bridge.introspection.targets.resolve.MAX_ROWS", 5)
    assert len(describe_ranges(resolve_target(parse_target("all"), mapped), mapped, by_page=True)) == 5
    assert mapped.notes == ["only the first 5 of 64 ranges are listed"]


def sources_of_nobody(adapter, query_time_s):
    return GuestSources(
        SimpleNamespace(layout=None), SimpleNamespace(caveat=""), adapter, PageMap(np.zeros(0, ENTRY), {}), query_time_s
    )


def test_sources_end_when_time_is_up():
    sources = sources_of_nobody(SimpleNamespace(), -1.0)
    assert not sources.has_time() and not sources.has_time()
    assert skipped(sources) == ("time ran out before everything was looked at",)


def test_without_types_there_are_no_processes_and_the_answer_says_so():
    sources = sources_of_nobody(None, 10.0)
    assert sources.processes() == [] and sources.mappings(1) == []
    assert skipped(sources) == ("the kernel carries no types, so its processes cannot be read",)
