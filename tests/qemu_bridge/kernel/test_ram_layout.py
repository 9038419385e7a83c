"""The layout of a raw image, found from the kernel in it."""

import random
import struct

import numpy as np
import pytest

from qemu_bridge.errors import LayoutError, NotBootedError
from qemu_bridge.kernel import ram_layout
from qemu_bridge.kernel.ram_layout import MemoryMap, candidate_layouts, find_ram_layout, read_memory_map
from qemu_bridge.kernel.symbols.vmcoreinfo import find_vmcoreinfo
from qemu_bridge.memory.addresses import GIB, LAYOUTS, PAGE_SIZE, RamLayout, parse_layout
from qemu_bridge.memory.ram import GuestRam

MIB = 1 << 20
SPAN = 1 * GIB
"""Where the fuzzer puts RAM: up to here."""


def memory_map(*ranges):
    return MemoryMap(tuple(ranges))


@pytest.mark.parametrize(
    "ranges, size, expected",
    [
        # SeaBIOS on q35: ACPI tables on top of RAM below 4 GiB, the window of devices below 1 MiB.
        (((0, 0x9F000), (0x100000, 0x7FFDD000), (4 * GIB, 7 * GIB)), 5 * GIB, "q35"),
        (((0, 0x9F000), (0x100000, 0xBFFDD000), (4 * GIB, 6 * GIB)), 5 * GIB, "pc"),
        (((0, 0x9F000), (0x100000, 0x7FFDD000), (4 * GIB, 7 * GIB)), 7 * GIB, "flat"),
        (((0, 0x9F000), (0x100000, 0x7FDD000)), 128 * MIB, "pc"),
        # VMware ends RAM below 4 GiB at 3 GiB and keeps nothing on top of it.
        (((0, 0x9F000), (0x100000, 3 * GIB), (4 * GIB, 5 * GIB)), 4 * GIB, "0-3G,4G-5G"),
        # RAM that begins beyond the hole of AMD's HyperTransport.
        (((0, 0x9F000), (0x100000, 3 * GIB), (1024 * GIB, 1027 * GIB)), 6 * GIB, "0-3G,1T-1027G"),
        # Reserved RAM in the middle, which the file holds, and a hole, which it does not.
        (((0, 0x9F000), (0x100000, GIB), (GIB + MIB, 2 * GIB), (4 * GIB, 5 * GIB)), 3 * GIB, "0-2G,4G-5G"),
    ],
)
def test_the_likeliest_layout_comes_first(ranges, size, expected):
    found = candidate_layouts(memory_map(*ranges), size)
    assert found[0] == parse_layout(expected, size)
    assert all(layout.size == size for layout in found) and len({layout.regions for layout in found}) == len(found)


def test_the_named_layouts_are_always_among_them_and_a_hostile_map_gives_few():
    many = memory_map(*((start * 16 * MIB, start * 16 * MIB + PAGE_SIZE) for start in range(128)))
    for ranges in (memory_map(), many):
        found = candidate_layouts(ranges, 5 * GIB)
        assert len(found) < 40 and {parse_layout(name, 5 * GIB) for name in LAYOUTS} <= set(found)


def cut(ram, path, ranges):
    """Only those physical ranges of `ram`, one behind the other; and where the rest was, nothing was touched."""
    with open(path, "wb") as file:
        file.truncate(sum(end - start for start, end in ranges))
        offset = 0
        for start, end in ranges:
            for first, last in ram.resident_runs(start, end):
                file.seek(offset + first - start)
                file.write(ram.view[first:last])
            offset += end - start


def random_ranges(dice, resident, size):
    """Up to six ranges that together hold all that is resident, the rest being holes."""
    untouched = np.flatnonzero(np.diff(np.concatenate(([1], resident[: size // PAGE_SIZE], [1]))) != 0).reshape(-1, 2)
    wide = [(a, b) for a, b in untouched.tolist() if b - a >= 256]
    holes = []
    for a, b in sorted(dice.sample(wide, dice.randint(0, min(5, len(wide))))):
        start = dice.randint(a, a + (b - a) // 4)
        end = dice.randint(b - (b - a) // 4, b)
        holes.append((start * PAGE_SIZE, end * PAGE_SIZE))
    edges = [0, *(edge for hole in holes for edge in hole), size]
    return [(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if start < end]


@pytest.mark.guest
@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(6, 100))])
def test_random_region_tables_are_found_from_a_real_kernels_ram(seed, roomy, tmp_path):
    """RAM of a real guest without pages that it never touched, and firmware's table that says so."""
    dice = random.Random(seed)
    ram, table = roomy
    ranges = random_ranges(dice, ram.resident_pages(), ram.size)
    path = tmp_path / "cut.ram"
    cut(ram, path, ranges)
    layout = RamLayout.from_ranges(ranges)
    # Firmware keeps the top of some range for itself: RAM that its table leaves out.
    hidden = dice.choice([0, 0, 35 * PAGE_SIZE])
    entries = [(start, end - start - (hidden if end == ranges[0][1] else 0), 1) for start, end in ranges]
    at = layout.to_offset(table)
    with open(path, "r+b") as file:
        file.seek(at + ram_layout._E820_COUNT_AT)
        file.write(bytes([len(entries)]))
        file.seek(at + ram_layout._E820_AT)
        file.write(b"".join(struct.pack("<QQI", *entry) for entry in entries))
    assert find_ram_layout(path, layout.size) == layout, (ranges, hidden)


@pytest.fixture(scope="module")
def roomy(image, tmp_path_factory):
    """RAM of a guest that touched a part of it, and the physical address of its ``boot_params``."""
    from support import booted

    with booted("roomy", image, memory=SPAN) as machine, machine.paused():
        ram = machine.ram
        tables = machine.kernel.page_tables
        table = tables.translate(machine.kernel.address_of("boot_params"))
        # The firmware's map as the guest prints it: /sys/firmware/memmap is the same table.
        told = read_memory_map(machine.ram, machine.kernel.info)
        copy = ram.copy_to(tmp_path_factory.mktemp("roomy") / "ram")
        layout = ram.layout
    assert told.ranges[-1][1] <= SPAN
    with GuestRam(copy, layout) as ram:
        yield ram, table


@pytest.mark.guest
def test_the_memory_map_is_what_the_guest_says_of_it(machine):
    said = machine.exec(
        "cd /sys/firmware/memmap; for i in *; do cat $i/start $i/end $i/type | tr '\\n' ' '; echo; done"
    )
    rows = [line.split(" ", 2) for line in said.decode().splitlines()]
    told = sorted(
        (int(start, 16), int(end, 16) + 1) for start, end, kind in rows if "System RAM" in kind or "ACPI" in kind
    )
    pages = [(-(-start // PAGE_SIZE) * PAGE_SIZE, end // PAGE_SIZE * PAGE_SIZE) for start, end in told]
    assert list(read_memory_map(machine.ram, machine.kernel.info).ranges) == [
        (start, end) for start, end in pages if start < end
    ]


@pytest.mark.guest
def test_a_kernel_that_fits_no_layout_is_not_blamed(roomy, tmp_path):
    """A file that was cut short: the kernel image and its note are there, its tasks are not."""
    ram, _ = roomy
    path = tmp_path / "cut.ram"
    note = find_vmcoreinfo(ram).physical & -MIB
    cut(ram, path, [(0, 64 * MIB), (note, note + MIB)])
    with pytest.raises(LayoutError, match=r"fits the kernel in .*firmware reported RAM at 0x0-.*state the layout"):
        find_ram_layout(path, 65 * MIB)
    zeros = tmp_path / "zeros"
    zeros.write_bytes(bytes(MIB))
    with pytest.raises(NotBootedError, match="no running Linux kernel"):
        find_ram_layout(zeros, MIB)
