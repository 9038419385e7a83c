"""Classes from symbols, page tables and content alone, on guests built here."""

import struct

import numpy as np
import pytest

from qemu_bridge.introspection.classes import AddressSpace, classify, mapping_class, owner_of
from qemu_bridge.kernel.symbols import KernelSection
from qemu_bridge.memory.addresses import PAGE_SIZE, RamLayout
from qemu_bridge.memory.paging import PageTables
from qemu_bridge.memory.ram import GuestRam
from qemu_bridge.wire.page_map import FLAG_SHARED
from qemu_bridge.wire.records import Grade, MemoryMapping, PageClass

PAGES = 2048


KERNEL_BASE = 0xFFFFFFFF81000000


HEAP, STACK, CODE = 0x555500000000, 0x7FFF00000000, 0x400000


class Builder:
    """Guest RAM with page tables in it."""

    def __init__(self, path):
        self.path = path
        with path.open("wb") as file:
            file.truncate(PAGES * PAGE_SIZE)
        self.next_table = 100

    def write(self, page, content, at=0):
        with self.path.open("r+b") as file:
            file.seek(page * PAGE_SIZE + at)
            file.write(content)

    def read_entry(self, table, index):
        with self.path.open("rb") as file:
            file.seek(table * PAGE_SIZE + index * 8)
            return struct.unpack("<Q", file.read(8))[0]

    def new_table(self):
        self.next_table += 1
        self.write(self.next_table - 1, bytes(PAGE_SIZE))
        return self.next_table - 1

    def map(self, root, virtual, frame, leaf_level=1):
        """Map a page of 4 KiB, or of 2 MiB at leaf level 2."""
        table = root
        for level in (4, 3, 2, 1):
            index = virtual >> (12 + 9 * (level - 1)) & 511
            if level == leaf_level:
                self.write(table, struct.pack("<Q", frame << 12 | 7 | (0x80 if level > 1 else 0)), index * 8)
                return
            entry = self.read_entry(table, index)
            if not entry:
                entry = self.new_table() << 12 | 7
                self.write(table, struct.pack("<Q", entry), index * 8)
            table = entry >> 12


def area(start, pages, path="", permissions="rw-p"):
    return MemoryMapping(start, start + pages * PAGE_SIZE, permissions, 0, "00:00", 0, path)


@pytest.fixture
def guest(tmp_path):
    """Two processes and a kernel: who owns which page is known by construction."""
    build = Builder(tmp_path / "ram")
    kernel_root, first, second = build.new_table(), build.new_table(), build.new_table()
    for page in range(4):
        build.map(kernel_root, KERNEL_BASE + page * PAGE_SIZE, 10 + page)
        build.write(10 + page, b"kernel")
    for root, heap in ((first, 20), (second, 21)):
        build.map(root, HEAP, heap)
        build.map(root, STACK, heap + 10)
        build.map(root, CODE, 40)
        build.map(root, CODE + PAGE_SIZE, 12)
        build.write(heap, b"heap")
        build.write(heap + 10, b"stack")
    build.write(40, b"code")
    build.write(50, bytes(PAGE_SIZE))
    build.write(51, b"unknown")
    ram = GuestRam(build.path, RamLayout.from_rule("pc", PAGES * PAGE_SIZE))
    areas = [area(CODE, 2, "/bin/sh", "r-xp"), area(HEAP, 1, "[heap]"), area(STACK, 1, "[stack]")]
    spaces = [
        AddressSpace(owner_of(pid, name), PageTables(ram, root << 12), areas)
        for pid, name, root in ((1, "init", first), (80, "sh", second))
    ]
    sections = [
        KernelSection("text", KERNEL_BASE, KERNEL_BASE + 2 * PAGE_SIZE),
        KernelSection("rodata", KERNEL_BASE + 2 * PAGE_SIZE, KERNEL_BASE + 3 * PAGE_SIZE),
    ]
    sections.append(KernelSection("init", KERNEL_BASE + 3 * PAGE_SIZE, KERNEL_BASE + 4 * PAGE_SIZE))
    yield build, ram, PageTables(ram, kernel_root << 12), sections, spaces, (kernel_root, first, second)
    ram.close()


def run(guest):
    _, ram, tables, sections, spaces, _ = guest
    return classify(ram, tables, sections, spaces, Grade.PAUSED)


def test_every_page_has_the_class_it_was_built_with(guest):
    page_map = run(guest)
    classes = page_map.entries["page_class"]
    expected = {10: PageClass.KERNEL_TEXT, 11: PageClass.KERNEL_TEXT, 12: PageClass.KERNEL_RODATA, 13: PageClass.OTHER}
    expected |= {
        20: PageClass.PROCESS_HEAP,
        21: PageClass.PROCESS_HEAP,
        30: PageClass.PROCESS_STACK,
        31: PageClass.PROCESS_STACK,
    }
    expected |= {40: PageClass.PROCESS_TEXT, 50: PageClass.ZERO, 51: PageClass.OTHER, 60: PageClass.UNTOUCHED}
    expected |= dict.fromkeys(range(100, guest[0].next_table), PageClass.PAGE_TABLE)
    assert {page: PageClass(classes[page]) for page in expected} == expected


def test_pages_have_their_owners_and_shared_ones_are_marked(guest):
    page_map = run(guest)
    owners = [
        page_map.owners[int(number)].name for number in page_map.entries["owner_id"][[10, 20, 21, 30, 31, 40, 51]]
    ]
    assert owners == ["kernel", "init", "sh", "init", "sh", "init", ""]
    assert np.flatnonzero(page_map.entries["flags"] & FLAG_SHARED).tolist() == [12, 40]
    _, first, second = guest[5]
    assert [page_map.owners[int(page_map.entries["owner_id"][page])].pid for page in (first, second)] == [1, 80]


def test_what_the_kernel_maps_for_a_process_stays_the_kernels(guest):
    assert run(guest).entries["page_class"][12] == PageClass.KERNEL_RODATA


def test_a_hole_is_untouched_whatever_maps_it(guest):
    build, _, _, _, spaces, (_, first, _) = guest
    build.map(first, HEAP + PAGE_SIZE, 70)
    spaces[0].mappings[1] = area(HEAP, 2, "[heap]")
    assert run(guest).entries["page_class"][70] == PageClass.UNTOUCHED


def test_a_large_page_is_512_pages(guest):
    build, _, _, _, spaces, (_, first, _) = guest
    build.write(1024, b"x" * 512 * PAGE_SIZE)
    build.map(first, 0x600000, 1024, leaf_level=2)
    spaces[0].mappings.insert(1, area(0x600000, 512))
    assert (run(guest).entries["page_class"][1024:1536] == PageClass.PROCESS_ANONYMOUS).all()


def test_tables_that_lead_outside_ram_are_skipped_and_named(guest):
    build, _, _, _, _, (_, first, _) = guest
    build.write(first, struct.pack("<Q", (1 << 40) | 7), at=8 * 3)
    page_map = run(guest)
    assert any("init" in sentence and "outside RAM" in sentence for sentence in page_map.skipped)
    assert page_map.entries["page_class"][20] == PageClass.PROCESS_HEAP


@pytest.mark.timeout(60)
def test_a_guest_that_maps_everything_everywhere_ends_in_time(guest):
    # Every entry of every table leads to a table or maps a large page: 512^4 pages in four pages of RAM.
    build, _, _, _, spaces, (_, first, _) = guest
    full = [build.new_table() for _ in range(3)]
    for table, target in zip([first, *full], full, strict=False):
        build.write(table, struct.pack("<Q", target << 12 | 7) * 256)
    build.write(full[-1], struct.pack("<Q", 0x87) * 512)
    spaces[0].mappings[:] = [area(0, 1 << 35)]
    assert len(run(guest).entries) == PAGES


@pytest.mark.parametrize(
    ("path", "permissions", "expected"),
    [
        ("[stack]", "rw-p", PageClass.PROCESS_STACK),
        ("[heap]", "rw-p", PageClass.PROCESS_HEAP),
        ("/bin/busybox", "r-xp", PageClass.PROCESS_TEXT),
        ("/bin/busybox", "rw-p", PageClass.PROCESS_FILE),
        ("", "rw-p", PageClass.PROCESS_ANONYMOUS),
        ("[anon:x]", "rw-p", PageClass.PROCESS_ANONYMOUS),
        ("[vdso]", "r-xp", None),
        ("[vvar]", "r--p", None),
    ],
)
def test_a_memory_area_gives_its_pages_their_class(path, permissions, expected):
    assert mapping_class(area(0, 1, path, permissions)) == expected
