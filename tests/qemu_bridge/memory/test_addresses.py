"""Addresses: sizes, the hole below 4 GiB, and QEMU's own word for it."""

import doctest
import itertools
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qemu_bridge.errors import AddressError, MachineError, UsageError
from qemu_bridge.machine.config import MEMORY_STEP, find_qemu
from qemu_bridge.memory import addresses
from qemu_bridge.memory.addresses import (
    GIB,
    PAGE_SIZE,
    PhysicalAddress,
    RamLayout,
    RamOffset,
    format_size,
    merge_ranges,
    parse_address,
    parse_mtree,
    parse_size,
)

SIZES = st.integers(1, 8 << 18).map(lambda pages: pages * PAGE_SIZE)


def test_examples_in_the_docstrings_hold():
    assert doctest.testmod(addresses).failed == 0


@pytest.mark.parametrize(
    ("text", "expected"), [("4096", 4096), ("128M", 128 << 20), ("1g", GIB), ("64 KiB", 65536), ("2T", 2 << 40)]
)
def test_a_size_is_a_number_with_a_binary_suffix(text, expected):
    assert parse_size(text) == expected


@pytest.mark.parametrize("text", ["", "M", "-1M", "1.5G", "12Q", "0x10", "9" * 5000 + "M"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(UsageError, match="not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0x1f000", 0x1F000), ("0xb8000", 0xB8000), ("0xABC", 0xABC), ("4096", 4096), ("124K", 0x1F000)],
)
def test_an_address_may_be_hexadecimal_decimal_or_a_size(text, expected):
    assert parse_address(text) == expected


@pytest.mark.parametrize("text", ["", "xyz", "0xzz", "12 34", "-"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(UsageError):
        parse_address(text)


@given(st.sampled_from(["pc", "q35"]), SIZES, st.data())
def test_offset_and_physical_address_are_inverse(machine, size, data):
    layout = RamLayout.from_rule(machine, size)
    offset = RamOffset(data.draw(st.integers(0, size - 1)))
    physical = layout.to_physical(offset)
    assert layout.to_offset(physical) == offset
    page = layout.frames_to_pages(np.array([physical >> 12], np.uint64))
    assert page[0] == offset >> 12


@pytest.mark.parametrize(("machine", "split"), [("pc", 3 * GIB), ("q35", 2 * GIB)])
def test_offset_above_the_hole_maps_to_four_gib(machine, split):
    layout = RamLayout.from_rule(machine, 5 * GIB)
    assert layout.to_physical(RamOffset(split - 1)) == split - 1
    assert layout.to_physical(RamOffset(split)) == 4 * GIB
    for inside_hole in (split, 4 * GIB - 1):
        with pytest.raises(AddressError, match="outside guest RAM"):
            layout.to_offset(PhysicalAddress(inside_hole))
    with pytest.raises(AddressError):
        layout.to_offset(PhysicalAddress(4 * GIB + 5 * GIB - split))


def test_negative_addresses_are_outside():
    layout = RamLayout.from_rule("pc", 1 << 20)
    with pytest.raises(AddressError):
        layout.to_offset(PhysicalAddress(-1))
    with pytest.raises(AddressError):
        layout.to_physical(RamOffset(-1))


@pytest.mark.parametrize("machine", ["pc", "q35"])
@pytest.mark.parametrize(
    "size", [128 << 20, 0xB0000000 - MEMORY_STEP, 0xB0000000, 0xE0000000 - MEMORY_STEP, 0xE0000000, 9 * GIB // 2]
)
def test_the_rule_equals_what_qemu_says_of_itself(machine, size, tmp_path):
    # QEMU stands still before its first instruction (-S) and tells its memory tree on standard output.
    ram = tmp_path / "ram"
    backend = f"memory-backend-file,id=ram,mem-path={ram},size={size},share=on"
    argv = [
        find_qemu(),
        "-nodefaults",
        "-display",
        "none",
        "-S",
        "-machine",
        f"{machine},memory-backend=ram",
        "-object",
        backend,
    ]
    answer = subprocess.run(
        [*argv, "-m", f"{size}B", "-monitor", "stdio"],
        input="info mtree -f\nquit\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert parse_mtree(answer.stdout, "ram") == RamLayout.from_rule(machine, size)


def test_a_memory_tree_without_our_ram_is_refused():
    with pytest.raises(MachineError, match="no RAM of backend"):
        parse_mtree('FlatView #0\n AS "memory"\n  0000000000000000-00000000000fffff (prio 0, ram): other\n', "ram")


@given(st.sets(st.integers(0, 200)))
def test_merged_ranges_hold_the_same_pages(pages):
    runs = merge_ranges(sorted(pages))
    assert {page for first, end in runs for page in range(first, end)} == pages
    assert all(end < following for (_, end), (following, _) in itertools.pairwise(runs))


def test_sizes_are_printed_whole():
    assert [format_size(size) for size in (0, 100, 4096, 128 << 20, 3 << 30)] == [
        "0 B",
        "100 B",
        "4 KiB",
        "128 MiB",
        "3 GiB",
    ]
