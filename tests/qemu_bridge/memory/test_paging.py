"""Page tables: the bulk decoder against a plain walker, against Volatility's, and against hostile tables."""

from __future__ import annotations

import contextlib
import struct
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_samples import LARGE, LEAF, NO_EXECUTE, PRESENT, PROT_NONE, USER, WRITABLE, Memory
from volatility3.framework import contexts, exceptions
from volatility3.framework.layers import intel, physical

from qemu_bridge.errors import AddressError, UsageError
from qemu_bridge.memory import page_entries, paging
from qemu_bridge.memory.addresses import PhysicalAddress, VirtualAddress
from qemu_bridge.memory.paging import Half, PageTables

U64 = (1 << 64) - 1
KERNEL = 0xFFFF888000000000


def canonical(virtual: int, levels: int = 4) -> int:
    bits = 12 + 9 * levels
    return virtual | U64 << bits & U64 if virtual >> (bits - 1) & 1 else virtual


def walk_all(ram, root: int, levels: int = 4) -> dict[int, tuple[int, int, bool, bool, bool]]:
    """Every mapping by virtual address, found one entry at a time: (frame, level, writable, user, no-execute)."""
    found = {}

    def table(frame, level, base, writable, user, no_execute):
        if (frame << 12) + 0x1000 > ram.size:
            return
        for index in range(512):
            entry = ram.read_u64(PhysicalAddress((frame << 12) + 8 * index))
            virtual = base + (index << (12 + 9 * (level - 1)))
            large = level in (2, 3) and bool(entry & LARGE)
            lets_write, lets_user = writable and bool(entry & WRITABLE), user and bool(entry & USER)
            user_root = level == levels and index < 256
            denies = no_execute or (bool(entry & NO_EXECUTE) and not user_root)
            if (level == 1 or large) and entry & (PRESENT | PROT_NONE):
                number = (entry if entry & PRESENT else ~entry) & 0xFFFFFFFFFF000
                number &= ~((1 << (12 + 9 * (level - 1))) - 1)
                found[canonical(virtual, levels)] = (number >> 12, level, lets_write, lets_user, denies)
            elif entry & PRESENT and level > 1 and not large:
                table((entry & 0xFFFFFFFFFF000) >> 12, level - 1, virtual, lets_write, lets_user, denies)

    table(root >> 12, levels, 0, True, True, False)
    return found


def rows(mapped: paging.Mappings) -> dict[int, tuple[int, int, bool, bool, bool]]:
    flags = [
        [bool(flag & bit) for bit in (page_entries.WRITABLE, page_entries.USER, page_entries.NO_EXECUTE)]
        for flag in mapped.flags.tolist()
    ]
    columns = zip(mapped.virtual.tolist(), mapped.frame.tolist(), mapped.level.tolist(), flags, strict=True)
    return {virtual: (frame, level, *rights) for virtual, frame, level, rights in columns}


entries = st.tuples(
    st.integers(0, (1 << 48) - 1),
    st.integers(1, 3),
    st.integers(0, 1 << 20),
    st.sampled_from([LEAF, PRESENT, PRESENT | USER, PRESENT | WRITABLE, LEAF | NO_EXECUTE, PROT_NONE, 0x40]),
    st.sampled_from([LEAF, LEAF | NO_EXECUTE, PRESENT, PRESENT | WRITABLE]),
)


def build(folder: Path, chosen, levels: int = 4):
    memory = Memory(folder, 4 << 20)
    root = memory.allocate()
    for virtual, level, frame, flags, rights in chosen:
        # Bits of the address below a large page are reserved: the processor refuses them, readers differ.
        value = frame << 12 & ~((1 << (12 + 9 * (level - 1))) - 1)
        if not flags & PRESENT:
            value = ~value & 0xFFFFFFFFFF000
        with contextlib.suppress(struct.error):  # the entry above is a large page that points out of this RAM
            memory.map(root, virtual, value | flags | (LARGE if level > 1 else 0), level, levels, rights)
    return memory.open(), root


@settings(max_examples=40)
@given(st.lists(entries, max_size=12))
def test_bulk_decoding_equals_a_plain_walk(chosen):
    with tempfile.TemporaryDirectory() as folder:
        ram, root = build(Path(folder), chosen)
        mapped = PageTables(ram, root).mappings()
        assert mapped.complete
        assert rows(mapped) == walk_all(ram, root)


@settings(max_examples=20)
@given(st.lists(entries, max_size=12))
def test_runs_of_a_whole_half_are_those_of_the_bulk_decoder_and_cross_holes_in_few_steps(chosen):
    with tempfile.TemporaryDirectory() as folder:
        ram, root = build(Path(folder), chosen)
        tables = PageTables(ram, root)
        expected = [
            (virtual, frame << 12, 1 << (12 + 9 * (level - 1)))
            for virtual, (frame, level, *_) in sorted(rows(tables.mappings()).items())
        ]
        halves = [(0, 1 << 47), ((1 << 64) - (1 << 47), 1 << 47)]
        found = [run for start, size in halves for run in tables.iter_runs(VirtualAddress(start), size)]
        assert found == expected


@settings(max_examples=40)
@given(st.lists(entries, min_size=1, max_size=12))
def test_translation_equals_the_bulk_decoder(chosen):
    with tempfile.TemporaryDirectory() as folder:
        ram, root = build(Path(folder), chosen)
        tables = PageTables(ram, root)
        mapped = rows(tables.mappings())
        for virtual, (frame, level, *_) in mapped.items():
            last = (1 << (12 + 9 * (level - 1))) - 1
            assert tables.translate(VirtualAddress(virtual)) == frame << 12
            assert tables.translate(VirtualAddress(virtual + last)) == (frame << 12) + last
        for virtual, *_ in chosen:
            inside = any(
                canonical(virtual) - v < 1 << (12 + 9 * (m[1] - 1))
                for v, m in mapped.items()
                if v <= canonical(virtual)
            )
            assert (tables.translate(VirtualAddress(canonical(virtual))) is not None) == inside


def volatility_layer(ram, root: int, keep_uniform: bool = True):
    """Volatility's own translation over `ram`.

    It takes a table whose 512 entries are equal for one that Windows left over, and unmaps what it maps; `keep_uniform`
    leaves that rule out, for Linux maps its zero page so.
    """

    class Linux32e(intel.LinuxIntel32e):
        _maxphyaddr = 52  # as Linux inverts since release 4.18

        def _get_valid_table(self, base_address):
            if not keep_uniform:
                return super()._get_valid_table(base_address)
            try:
                return self._context.layers.read(self._base_layer, base_address, self.page_size)
            except exceptions.InvalidAddressException:
                return None

    context = contexts.Context()
    context.add_layer(physical.BufferDataLayer(context, "ram", "ram", ram.view.tobytes()))
    context.config["kernel.memory_layer"], context.config["kernel.page_map_offset"] = "ram", root
    return Linux32e(context, "kernel", "kernel")


def ask_volatility(layer, virtual: int) -> int | None:
    try:
        return int(layer._translate(virtual)[0])
    except exceptions.InvalidAddressException:
        return None


addresses = st.tuples(st.integers(0, 15), st.integers(-(1 << 31), 1 << 31) | st.integers(0, (1 << 48) - 1))


@settings(max_examples=60)
@given(
    st.lists(entries, min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, (1 << 48) - 1), st.integers(0, 1 << 20), st.sampled_from([1, 2])), max_size=2),
    st.lists(addresses, min_size=20, max_size=40),
)
def test_translation_equals_volatilitys(chosen, uniform, asked):
    # A table of 512 equal entries each, of small pages or of large ones.
    for virtual, frame, level in uniform:
        start = virtual & ~((1 << (12 + 9 * level)) - 1)
        chosen = chosen + [
            (start + (index << (12 + 9 * (level - 1))), level, frame, LEAF, LEAF) for index in range(512)
        ]
    with tempfile.TemporaryDirectory() as folder:
        ram, root = build(Path(folder), chosen)
        layer, tables = volatility_layer(ram, root), PageTables(ram, root)
        mapped = rows(tables.mappings())
        hidden_large = [
            (virtual, 1 << (12 + 9 * (row[1] - 1)))
            for virtual, row, flags in zip(mapped, mapped.values(), tables.mappings().flags.tolist(), strict=True)
            if row[1] > 1 and flags & page_entries.PROT_NONE
        ]
        # In, around and far from what is mapped.
        places = [choice[0] for choice in chosen]
        places += [(places[number % len(places)] + distance) % (1 << 48) for number, distance in asked]
        for virtual in places:
            ours, theirs = tables.translate(VirtualAddress(canonical(virtual))), ask_volatility(layer, virtual)
            if theirs is not None and any(0 <= canonical(virtual) - start < size for start, size in hidden_large):
                # Volatility clears the PAT bit of a large page before it undoes the inversion, which sets it: one page off.
                assert ours is not None and ours | 0x1000 == theirs
            else:
                assert ours == theirs


@pytest.mark.parametrize("level", [1, 2])
def test_volatility_alone_misses_a_table_whose_entries_are_equal(tmp_path, level):
    memory = Memory(tmp_path)
    root, target, step = memory.allocate(), 0x200000, 1 << (12 + 9 * (level - 1))
    for index in range(512):
        memory.map(root, (1 << 39) + index * step, target | LEAF | (LARGE if level > 1 else 0), level)
    ram = memory.open()
    tables = PageTables(ram, root)
    virtual = (1 << 39) + 7 * step + 0x123
    assert tables.translate(VirtualAddress(virtual)) == target + 0x123
    assert ask_volatility(volatility_layer(ram, root), virtual) == target + 0x123
    assert ask_volatility(volatility_layer(ram, root, keep_uniform=False), virtual) is None


def test_five_levels_reach_further_and_extend_their_own_sign(tmp_path):
    memory = Memory(tmp_path)
    root = memory.allocate()
    high, low = 0xFF11000000000000, 0x00AA000000000000
    memory.map(root, high, 0x5000 | LEAF, levels=5)
    memory.map(root, low, 0x6000 | LEAF, levels=5)
    tables = PageTables(memory.open(), root, levels=5)
    assert tables.translate(VirtualAddress(high)) == 0x5000 and tables.translate(VirtualAddress(low)) == 0x6000
    assert sorted(tables.mappings().virtual.tolist()) == [low, high]
    assert PageTables(tables.ram, root).translate(VirtualAddress(high)) is None


def test_half_selects_what_user_space_or_the_kernel_maps(tmp_path):
    memory = Memory(tmp_path)
    root = memory.allocate()
    memory.map(root, 0x400000, 0x5000 | LEAF)
    memory.map(root, KERNEL, 0x6000 | LEAF)
    tables = PageTables(memory.open(), root)
    assert tables.mappings(Half.USER).virtual.tolist() == [0x400000]
    assert tables.mappings(Half.KERNEL).virtual.tolist() == [KERNEL]
    assert len(tables.mappings()) == 2
    assert len(tables.table_frames(Half.USER).frame) == 4 and len(tables.table_frames().frame) == 7


def test_prot_none_counts_as_mapped_and_swapped_out_does_not(tmp_path):
    memory = Memory(tmp_path)
    root = memory.allocate()
    memory.map(root, 0x400000, (~0x5000 & 0xFFFFFFFFFF000) | PROT_NONE)
    memory.map(root, 0x401000, (~0x7000 & 0xFFFFFFFFFF000) | 0x40)
    memory.map(root, 0x600000, (~0x200000 & 0xFFFFFFFE00000) | PROT_NONE | LARGE, level=2)
    mapped = PageTables(memory.open(), root).mappings()
    assert dict(zip(mapped.virtual.tolist(), mapped.frame.tolist(), strict=True)) == {0x600000: 0x200, 0x400000: 5}
    assert mapped.flags.tolist() == [page_entries.PROT_NONE, page_entries.PROT_NONE]


def test_equal_entries_are_mapped_all_the_same(tmp_path):
    memory = Memory(tmp_path)
    root, zero_page = memory.allocate(), memory.allocate()
    for page in range(512):
        memory.map(root, 0x200000 + page * 0x1000, zero_page | LEAF)
    mapped = PageTables(memory.open(), root).mappings()
    assert len(mapped) == 512 and set(mapped.frame.tolist()) == {zero_page >> 12}


def test_no_execute_of_a_user_root_entry_is_page_table_isolations_and_says_nothing(tmp_path):
    memory = Memory(tmp_path)
    root, _user_root = memory.allocate(), memory.allocate()
    memory.map(root, 0x400000, 0x5000 | LEAF, rights=LEAF)
    memory.entry(root, 0, int.from_bytes(memory.data[root : root + 8], "little") | NO_EXECUTE)
    tables = PageTables(memory.open(), root)
    assert not tables.mappings().flags[0] & page_entries.NO_EXECUTE
    assert set(tables.table_frames(isolated=True).frame) - set(tables.table_frames().frame) == {(root >> 12) + 1}


def test_large_pages_spread_into_small_ones(tmp_path):
    memory = Memory(tmp_path)
    root = memory.allocate()
    memory.map(root, 0x40000000, 0x200000 | LEAF | LARGE, level=2)
    memory.map(root, 0x400000, 0x5000 | LEAF)
    mapped = PageTables(memory.open(), root).mappings()
    virtual, frame, row = mapped.pages()
    assert len(virtual) == 513
    small = {int(v): int(f) for v, f in zip(virtual, frame, strict=True)}
    assert small[0x400000] == 5 and small[0x40000000] == 0x200 and small[0x401FF000] == 0x3FF
    assert np.bincount(row).tolist() == [512, 1]


def test_read_crosses_pages_and_names_the_first_address_that_is_not_there(tmp_path):
    memory = Memory(tmp_path)
    root = memory.allocate()
    memory.map_bytes(root, KERNEL, b"a" * 0x1000)
    memory.allocate()
    memory.map_bytes(root, KERNEL + 0x1000, b"b" * 0x1000)
    tables = PageTables(memory.open(), root)
    assert tables.read(VirtualAddress(KERNEL + 0xFFE), 4) == b"aabb"
    assert tables.read(VirtualAddress(KERNEL), 0) == b""
    with pytest.raises(AddressError, match=f"{KERNEL + 0x2000:#x} is not mapped"):
        tables.read(VirtualAddress(KERNEL + 0x1FFE), 4)
    with pytest.raises(UsageError):
        tables.read(VirtualAddress(KERNEL), -1)


@pytest.mark.parametrize("virtual", [0x800000000000, 0xFFFF7FFFFFFFF000, 1 << 63])
def test_a_noncanonical_address_is_not_mapped(tmp_path, virtual):
    memory = Memory(tmp_path)
    root = memory.allocate()
    memory.map(root, virtual & (1 << 48) - 1, 0x5000 | LEAF)
    assert PageTables(memory.open(), root).translate(VirtualAddress(virtual)) is None


def test_a_root_outside_ram_maps_nothing_and_is_counted(tmp_path):
    tables = PageTables(Memory(tmp_path).open(), PhysicalAddress(1 << 40))
    mapped = tables.mappings()
    assert (len(mapped), mapped.skipped) == (0, 1)
    assert tables.translate(VirtualAddress(KERNEL)) is None
    assert len(tables.table_frames().frame) == 0 and tables.table_frames().skipped == 1


def test_tables_outside_ram_are_skipped_and_counted(tmp_path):
    memory = Memory(tmp_path)
    root = memory.allocate()
    memory.map(root, 0x400000, 0x5000 | LEAF)
    memory.entry(root, 3, 1 << 40 | LEAF)
    tables = PageTables(memory.open(), root)
    mapped = tables.mappings()
    assert (mapped.virtual.tolist(), mapped.skipped, mapped.complete) == ([0x400000], 1, True)
    assert tables.table_frames().skipped == 1


@pytest.mark.parametrize("levels", [4, 5])
def test_a_table_that_points_to_itself_everywhere_ends_within_bounds(tmp_path, levels):
    memory = Memory(tmp_path)
    root = memory.allocate()
    for index in range(512):
        memory.entry(root, index, root | LEAF)
    tables = PageTables(memory.open(), root, levels)
    started = time.process_time()
    mapped = tables.mappings(max_mappings=1 << 16)
    assert not mapped.complete and len(mapped) <= 1 << 16
    frames = tables.table_frames()
    assert frames.frame.tolist() == [root >> 12] and not frames.complete
    assert time.process_time() - started < 10


def test_other_numbers_of_levels_are_refused(tmp_path):
    with pytest.raises(UsageError):
        PageTables(Memory(tmp_path).open(), PhysicalAddress(0), levels=3)


@pytest.mark.guest
def test_every_kernel_mapping_translates_as_decoded(machine):
    with machine.paused():
        tables = machine.kernel.page_tables
        mapped = tables.mappings(Half.KERNEL)
        assert mapped.complete and mapped.skipped == 0 and len(mapped) > 1000
        for row in range(0, len(mapped), max(len(mapped) // 500, 1)):
            assert tables.translate(VirtualAddress(int(mapped.virtual[row]))) == int(mapped.frame[row]) << 12


@pytest.mark.guest
def test_a_process_maps_what_its_own_pagemap_says(machine):
    """/proc/PID/pagemap inside: bit 63 present, bits 0-54 the frame (Documentation/admin-guide/mm/pagemap.rst)."""
    line = machine.exec("grep -m1 'r-xp' /proc/1/maps").decode().split()[0]
    start, end = (int(part, 16) for part in line.split("-"))
    count = (end - start) >> 12
    dump = (
        machine.exec(f"dd if=/proc/1/pagemap bs=8 skip={start >> 12} count={count} 2>/dev/null | od -An -v -tx8")
        .decode()
        .split()
    )
    inside = {
        start + (page << 12): int(word, 16) & (1 << 55) - 1 for page, word in enumerate(dump) if int(word, 16) >> 63
    }
    with machine.paused():
        (process,) = (process for process in machine.processes() if process.pid == 1)
        mapped = machine.address_space(process).mappings(Half.USER)
    virtual, frame, _ = mapped.pages()
    outside = {int(v): int(f) for v, f in zip(virtual, frame, strict=True) if start <= v < end}
    assert inside and {v: f for v, f in outside.items() if v in inside} == inside
