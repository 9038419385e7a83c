"""The page map: from tables built here, and against the guest's own /proc/PID/pagemap."""

import base64
import contextlib
import os
import random
import struct
import tracemalloc
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from kernel_words import settle
from support import booted, find_or_build_image, wait_until

from qemu_bridge.errors import GlassBoxError, ImageError
from qemu_bridge.introspection.classes import KERNEL, AddressSpace, PageMapBuilder, classify, mapping_class, owner_of
from qemu_bridge.introspection.classes.walk import walk
from qemu_bridge.kernel.symbols import KernelSection, KernelSymbols
from qemu_bridge.memory.addresses import PAGE_SIZE, RamLayout
from qemu_bridge.memory.paging import MAX_MAPPINGS, MAX_TABLES, Half, PageTables
from qemu_bridge.memory.ram import GuestRam
from qemu_bridge.wire.page_map import FLAG_MAPPED, FLAG_SHARED, ORDER_SHIFT, PageMap
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


def test_tables_that_point_at_themselves_take_a_bounded_part_of_memory(tmp_path):
    path = tmp_path / "ram"
    path.write_bytes(struct.pack("<Q", 0x1000 | 7) * 512 * 4)
    ram = GuestRam(path, RamLayout.from_rule("pc", 4 * PAGE_SIZE))
    tables = SimpleNamespace(page_tables=SimpleNamespace(levels=4))
    read = SimpleNamespace(kernel=tables, ram=ram, resident=np.ones(4, np.bool_))
    tracemalloc.start()
    try:
        found = walk(read, np.array([1], np.uint64), slice(0, 256))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert not found.complete and len(found.table_page) <= MAX_TABLES and len(found.page) <= MAX_MAPPINGS
    # The tables themselves twice, and what they map.
    assert peak < (3 * MAX_TABLES * PAGE_SIZE) + 64 * MAX_MAPPINGS, f"{peak >> 20} MiB"


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


LIST_PAGEMAPS = """cd /proc; for p in [0-9]*; do [ -e $p/exe ] && [ $p != $$ ] && [ $p != $PPID ] || continue
  while read range rest; do
    case "$rest" in *vsyscall*|*vvar*) continue; esac
    first=$((0x${range%-*} / 4096)); count=$((0x${range#*-} / 4096 - first))
    echo "== $p $range $rest"; dd if=$p/pagemap bs=8 skip=$first count=$count 2>/dev/null | od -An -v -tx8 -w8
  done <$p/maps
done 2>/dev/null; true"""


def read_pagemaps(machine):
    """(frames by virtual address of what is present) by (pid, first, end) of every area, in the guest's own words.

    Bit 63 says present, bits 0 to 54 the frame (admin-guide/mm/pagemap.rst).
    """
    found = {}
    for block in machine.exec(LIST_PAGEMAPS).decode().split("== ")[1:]:
        title, *words = block.splitlines()
        pid, span = title.split()[:2]
        start, end = (int(part, 16) for part in span.split("-"))
        entries = np.array([int(word, 16) for word in words], np.uint64)
        present = np.flatnonzero(entries >> np.uint64(63))
        frames = (entries & np.uint64((1 << 55) - 1))[present].tolist()
        found[int(pid), start, end] = dict(zip((start + present * PAGE_SIZE).tolist(), frames, strict=True))
    return found


def read_mapped(machine, process):
    """Frames by virtual address, by the bulk decoder."""
    virtual, frame, _ = machine.address_space(process).mappings(Half.USER).pages()
    return dict(zip(virtual.tolist(), frame.tolist(), strict=True))


@pytest.mark.guest
def test_process_pages_are_those_of_the_guests_own_pagemap(each_machine):
    machine = each_machine
    settle(machine)
    inside = read_pagemaps(machine)
    with machine.paused():
        builder = PageMapBuilder(machine.ram, machine.kernel)
        page_map = builder.build(Grade.PAUSED)
        processes = {process.pid: process for process in machine.processes() if process.page_table is not None}
        pids = {pid for pid, _, _ in inside} & set(processes)
        areas = {pid: {area.start: area for area in machine.mappings(pid)} for pid in pids}
        mapped = {pid: read_mapped(machine, processes[pid]) for pid in pids}
    after = read_pagemaps(machine)
    steady = {key: frames for key, frames in inside.items() if after.get(key) == frames and key[0] in pids}
    # Everything that lives on, but for what the shells do that ask.
    assert len(steady) > 0.8 * len([key for key in inside if key[0] in pids]) and len({key[0] for key in steady}) >= 4
    checked = 0
    for (pid, start, end), frames in steady.items():
        # Both ways: what the guest maps is found, and nothing else.
        ours = {virtual: frame for virtual, frame in mapped[pid].items() if start <= virtual < end}
        assert ours == frames, (pid, hex(start))
        area = areas[pid][start]
        if mapping_class(area):
            pages = machine.ram.layout.frames_to_pages(np.array(list(frames.values()), np.uint64))
            checked += check_mapped_pages(page_map, processes[pid], area, pages)
    assert checked > 300


def check_mapped_pages(page_map, process, mapping, pages):
    number = process.pid + 1
    for page in pages.tolist():
        entry = page_map.entries[page]
        owner, page_class = page_map.owners[int(entry["owner_id"])], PageClass(entry["page_class"])
        if page_class == PageClass.ZERO_PAGE:
            continue
        assert entry["flags"] & FLAG_MAPPED and number in page_map.sharers(page)
        assert bool(entry["flags"] & FLAG_SHARED) == (len(page_map.sharers(page)) > 1)
        if owner.kind == "file":
            assert owner.name == mapping.path and owner.detail == f"{mapping.device}:{mapping.inode}"
            assert page_class in (PageClass.PROCESS_TEXT, PageClass.PROCESS_FILE)
        else:
            assert owner.owner_id == page_map.sharers(page)[0] and page_class == mapping_class(mapping)
    return len(pages)


@pytest.mark.guest
def test_slabs_are_as_many_as_the_guest_counts(each_machine):
    machine = each_machine

    def read():
        rows = [line.split() for line in machine.exec("cat /proc/slabinfo").decode().splitlines()[2:]]
        return {row[0]: int(row[14]) * int(row[5]) for row in rows if row[0] != "#"}

    # What is freed between two looks inside may be on its way for a moment longer.
    for _ in range(3):
        before = read()
        with machine.paused():
            page_map = PageMapBuilder(machine.ram, machine.kernel).build(Grade.PAUSED)
        after = read()
        slabs = page_map.entries["owner_id"][page_map.entries["page_class"] == PageClass.SLAB]
        found = Counter(page_map.owners[number].name for number in slabs.tolist())
        steady = {name: pages for name, pages in before.items() if after[name] == pages}
        if {name: found[name] for name in steady} == steady:
            break
    assert {name: found[name] for name in steady} == steady and len(steady) > 0.8 * len(before)
    assert sum(pages > 0 for pages in steady.values()) > 50


@pytest.mark.guest
def test_next_to_nothing_is_unknown_and_what_is_has_a_reason(each_machine):
    machine = each_machine
    page_map = machine.client.page_map()
    classes, owners = page_map.entries["page_class"], page_map.entries["owner_id"]
    unknown = np.flatnonzero(classes == PageClass.OTHER)
    assert len(unknown) <= 0.005 * machine.ram.resident_pages().sum()
    assert all(page_map.owners[number].kind == "reason" for number in owners[unknown].tolist())
    nobody = set(np.unique(classes[owners == 0]).tolist())
    assert nobody <= {PageClass.UNTOUCHED, PageClass.FREE, PageClass.PROCESS_ANONYMOUS}
    assert PageClass.ZERO not in page_map.counts() and not page_map.skipped


@pytest.mark.guest
def test_tasks_tables_modules_and_areas_have_names(each_machine):
    machine = each_machine

    def alive():
        return {process.pid for process in machine.client.processes() if process.state != "Z"}

    before, page_map, after = alive(), machine.client.page_map(), alive()
    found = {}
    for page_class, number in np.unique(page_map.entries[["page_class", "owner_id"]]).tolist():
        found.setdefault(PageClass(page_class), set()).add(page_map.owners[number])
    stacks = found[PageClass.KERNEL_STACK]
    assert {owner.pid for owner in stacks} >= before & after and len(before & after) > 30
    assert {"kthreadd", "init", "swapper/0"} <= {owner.name for owner in stacks}
    assert {owner.name for owner in found[PageClass.MODULE]} == {module.name for module in machine.client.modules()}
    tables = {owner.name for owner in found[PageClass.PAGE_TABLE] if owner.kind == "page-table"}
    assert {"init", "crond"} <= tables and KERNEL in found[PageClass.PAGE_TABLE]
    roots = [process for process in machine.client.processes() if process.name == "crond"]
    root = page_map.entries[roots[0].page_table >> 12]
    assert root["flags"] >> ORDER_SHIFT == 4 and page_map.owners[int(root["owner_id"])].pid == roots[0].pid
    assert (
        len(page_map.entries[page_map.entries["page_class"] == PageClass.MEMMAP]) == machine.ram.page_count * 64 >> 12
    )


SIZE = 50 << 20


def forking_program():
    """A program that maps 50 MiB, fills them, forks and waits: an ELF file of a page, in machine code.

    mmap(0, SIZE, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); a byte to each page; fork(); for (;;) pause();
    """
    code = bytes.fromhex("b809000000 31ff be") + struct.pack("<I", SIZE)
    code += bytes.fromhex("ba03000000 41ba22000000 49c7c0ffffffff 4531c9 0f05 4889c7 b9") + struct.pack(
        "<I", SIZE >> 12
    )
    code += bytes.fromhex("c60701 4881c700100000 ffc9 75f2 b839000000 0f05 b822000000 0f05 ebf7")
    base, length = 0x400000, 120 + len(code)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, base + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return header + struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, length, length, 4096) + code


@pytest.fixture(scope="module", params=["of the session", "alpine-612"])
def roomy(request, image):
    if request.param == "alpine-612":
        try:
            image = find_or_build_image(request.param)
        except ImageError as error:
            pytest.skip(str(error))
    with booted("roomy", image, memory=256 << 20) as machine:
        yield machine


@pytest.mark.guest
def test_what_a_fork_shares_belongs_to_both(roomy):
    program = base64.b64encode(forking_program()).decode()
    roomy.exec(f"echo {program} | base64 -d > /tmp/forker; chmod +x /tmp/forker; /tmp/forker >/dev/null 2>&1 &")
    # It forks after the last page is filled.
    wait_until(lambda: len(roomy.exec("pidof forker; true").split()) == 2)
    pids = sorted(int(pid) for pid in roomy.exec("pidof forker").split())
    page_map = roomy.client.page_map()
    both = (page_map.entries["page_class"] == PageClass.PROCESS_ANONYMOUS) & (
        page_map.entries["flags"] & FLAG_SHARED != 0
    )
    assert both.sum() >= SIZE >> 12 and len(pids) == 2
    with roomy.paused():
        page_map = PageMapBuilder(roomy.ram, roomy.kernel).build(Grade.PAUSED)
    shared = np.flatnonzero(
        (page_map.entries["flags"] & FLAG_SHARED != 0) & (page_map.entries["owner_id"] == pids[0] + 1)
    )
    assert [page_map.sharers(page) for page in shared.tolist()].count((pids[0] + 1, pids[1] + 1)) >= SIZE >> 12
    roomy.exec("kill -9 $(pidof forker); sleep 1")
    assert "forker" not in {owner.name for owner in roomy.client.page_map().owners.values()}


def pages_called(machine, name):
    page_map = machine.client.page_map()
    owners = [owner.owner_id for owner in page_map.owners.values() if owner.kind == "file" and owner.name == name]
    return np.flatnonzero(np.isin(page_map.entries["owner_id"], owners)), page_map.entries["page_class"]


@pytest.mark.guest
def test_pages_of_a_file_carry_its_path_until_it_is_removed(roomy):
    roomy.exec("mkdir -p /tmp/a; head -c 2097152 /dev/urandom > /tmp/a/cached.bin; cat /tmp/a/cached.bin > /dev/null")
    found, classes = pages_called(roomy, "/tmp/a/cached.bin")
    assert len(found) == 512 and (classes[found] == PageClass.SHMEM).all()
    roomy.exec("rm -r /tmp/a; sync; echo 3 > /proc/sys/vm/drop_caches")
    left, classes = pages_called(roomy, "/tmp/a/cached.bin")
    assert not len(left) and (classes[found] == PageClass.FREE).mean() > 0.9


@pytest.mark.guest
def test_cached_pages_of_a_disk_are_its_until_they_are_dropped(roomy):
    roomy.exec(
        "dd if=/dev/urandom of=/tmp/disk bs=1M count=4 2>/dev/null; losetup /dev/loop0 /tmp/disk; (sleep 60 < /dev/loop0 > /dev/null 2>&1 &); cat /dev/loop0 > /dev/null"
    )
    found, classes = pages_called(roomy, "block device 7:0")
    assert len(found) == 1024 and (classes[found] == PageClass.PAGE_CACHE).all()
    assert len(pages_called(roomy, "/tmp/disk")[0]) == 1024
    roomy.exec("sync; echo 3 > /proc/sys/vm/drop_caches")
    left, classes = pages_called(roomy, "block device 7:0")
    assert len(left) <= 1 and (classes[found] == PageClass.FREE).mean() > 0.9
    roomy.exec("pkill sleep; sleep 0.2; losetup -d /dev/loop0; rm /tmp/disk")


@pytest.mark.guest
def test_a_file_that_is_renamed_is_called_so_soon(roomy):
    builder = PageMapBuilder(roomy.ram, roomy.kernel)
    roomy.exec("mkdir -p /tmp/b; head -c 65536 /dev/urandom > /tmp/b/x")
    assert "/tmp/b/x" in {owner.name for owner in builder.build(Grade.LIVE).owners.values()}
    roomy.exec("mv /tmp/b /tmp/c")
    builder._keys.paths_read_s -= 3600
    names = {owner.name for owner in builder.build(Grade.LIVE).owners.values()}
    assert "/tmp/c/x" in names and "/tmp/b/x" not in names
    roomy.exec("rm -r /tmp/c")


WORK = (
    "for i in 1 2 3 4 5; do /bin/true; done",
    "sh -c 'sleep 1 & sleep 2 & (sleep 3 & wait)' >/dev/null 2>&1 &",
    "head -c {size} /dev/urandom > /tmp/load-{number}; cat /tmp/load-{number} >/dev/null",
    "dd if=/dev/zero of=/tmp/load-{number} bs=4k count={pages} 2>/dev/null",
    "mkdir -p /tmp/load; cp /bin/busybox /tmp/load/busybox; /tmp/load/busybox true",
    "rm -rf /tmp/load /tmp/load-*",
    "awk 'BEGIN {{ for (i = 0; i < {pages} * 8; i++) a[i] = i; system(\"sleep 1\") }}' >/dev/null 2>&1 &",
    "killall -q -9 sleep awk; true",
    "echo 3 > /proc/sys/vm/drop_caches",
    "find / -xdev >/dev/null 2>&1",
    "seq 1 {pages} | sort -r | gzip | gunzip | tail -n 1",
    "mkdir -p /tmp/mnt; mount -t tmpfs none /tmp/mnt; echo {number} > /tmp/mnt/a; umount /tmp/mnt",
)
WORK_ROUNDS = 15


def assert_same_map(refreshed, fresh):
    """Class, flags and owner of every page, but who holds a nameless one: that is searched for now and then, and by chance."""
    nameless = np.isin(fresh.entries["page_class"], [PageClass.OTHER, PageClass.KERNEL_PAGES])
    assert (np.isin(refreshed.entries["page_class"], [PageClass.OTHER, PageClass.KERNEL_PAGES]) == nameless).all()
    for column, chosen in (("page_class", ~nameless), ("flags", np.ones_like(nameless))):
        differs = np.flatnonzero((refreshed.entries[column] != fresh.entries[column]) & chosen)
        assert not len(differs), [(hex(p), refreshed.entries[p], fresh.entries[p]) for p in differs[:5].tolist()]
    pairs = np.stack([page_map.entries["owner_id"][~nameless] for page_map in (refreshed, fresh)])
    for ours, theirs in np.unique(pairs, axis=1).T.tolist():
        assert meaning(refreshed.owners[ours]) == meaning(fresh.owners[theirs])
    for page_map in (refreshed, fresh):
        used = set(np.unique(page_map.entries["owner_id"]).tolist())
        assert used <= set(page_map.owners) and all(
            owner.kind != "file" or n in used for n, owner in page_map.owners.items()
        )
    assert refreshed.shared_by.page.tolist() == fresh.shared_by.page.tolist()
    assert refreshed.shared_by.owner.tolist() == fresh.shared_by.owner.tolist()


def meaning(owner):
    return owner.kind, owner.name, owner.pid, owner.detail


@pytest.mark.guest
@pytest.mark.timeout(120)
def test_refreshing_step_by_step_ends_where_a_fresh_map_ends(each_machine):
    dice, machine = random.Random(5), each_machine
    builder = PageMapBuilder(machine.ram, machine.kernel)
    for number in range(WORK_ROUNDS):
        for work in dice.sample(WORK, 3):
            machine.exec(work.format(number=number, size=dice.randrange(1 << 21), pages=dice.randrange(1, 1024)))
            if dice.random() < 0.3:
                builder.build(Grade.LIVE)
        with machine.paused():
            refreshed = builder.build(Grade.PAUSED)
            anew = PageMapBuilder(machine.ram, machine.kernel)
            assert_same_map(refreshed, anew.build(Grade.PAUSED))
            assert (builder._read.resident == anew._read.resident).all()
            for column in ("page_class", "flags", "key", "continues"):
                assert (getattr(builder._memmap, column) == getattr(anew._memmap, column)).all(), column
    machine.exec("killall -q -9 sleep awk; rm -rf /tmp/load /tmp/load-* /tmp/mnt")
    with machine.paused():
        refreshed = builder.build(Grade.PAUSED)
        before = refreshed.entries.copy()
        builder.forget()
        again = builder.build(Grade.PAUSED)
        assert_same_map(again, PageMap(before, refreshed.owners, shared_by=refreshed.shared_by))


@pytest.mark.guest
@pytest.mark.timeout(120)
def test_a_guest_that_lies_about_itself_is_mapped_all_the_same(machine, tmp_path):
    # A word of each of some pages that hold what the map is made of is replaced by something unkind.
    with machine.paused():
        builder = PageMapBuilder(machine.ram, machine.kernel)
        page_map = builder.build(Grade.PAUSED)
        path = tmp_path / "mutant"
        with path.open("wb") as file:
            file.truncate(machine.ram.size)
            for start, end in machine.ram.resident_runs():
                file.seek(start)
                file.write(machine.ram.view[start:end])
    dice = np.random.default_rng(3)
    kinds = [
        PageClass.PAGE_TABLE,
        PageClass.SLAB,
        PageClass.MEMMAP,
        PageClass.MODULE,
        PageClass.PER_CPU,
        PageClass.KERNEL_BSS,
    ]
    targets = np.flatnonzero(np.isin(page_map.entries["page_class"], kinds))
    evil = [0, 1, (1 << 64) - 1, 1 << 63, 0xFFFFEA0000000001, machine_direct(builder) + 8, 0xDEAD000000000100]
    with GuestRam(path, machine.ram.layout) as ram, path.open("r+b", buffering=0) as file:
        for _ in range(60):
            changes = []
            for page in dice.choice(targets, 40).tolist():
                at = page * PAGE_SIZE + int(dice.integers(512)) * 8
                value = (
                    evil[int(dice.integers(len(evil)))] if dice.random() < 0.5 else int(dice.choice(targets)) << 12 | 7
                )
                changes.append((at, os.pread(file.fileno(), 8, at)))
                os.pwrite(file.fileno(), struct.pack("<Q", value), at)
            with contextlib.suppress(GlassBoxError):
                made = PageMapBuilder(ram, KernelSymbols.load(ram))
                assert len(made.build(Grade.SNAPSHOT).entries) == len(made.build(Grade.SNAPSHOT).entries)
            for at, was in reversed(changes):
                os.pwrite(file.fileno(), was, at)


def machine_direct(builder):
    return builder._read.page_offset


@pytest.mark.guest
def test_kernel_text_is_where_the_guest_says(each_machine):
    machine = each_machine
    # /proc/iomem names the physical ranges of the image.
    ranges = {}
    for line in machine.exec("cat /proc/iomem").decode().splitlines():
        span, _, name = line.strip().partition(" : ")
        if name.startswith("Kernel "):
            ranges[name] = tuple(int(part, 16) for part in span.split("-"))
    classes = machine.client.page_map().entries["page_class"]
    for name, page_class in (("Kernel code", PageClass.KERNEL_TEXT), ("Kernel rodata", PageClass.KERNEL_RODATA)):
        first, last = ranges[name]
        pages = np.flatnonzero(classes == page_class)
        assert pages[0] == first >> 12 and pages[-1] <= last >> 12 and len(pages) > 100
