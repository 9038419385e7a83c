"""Memory of every kind, as the guest itself calls it: merged pages, huge pages, shared memory, both sides of a fork."""

import re

import numpy as np
import pytest
from guest_programs import KINDS, compile_program, install
from page_oracle import compare, guest_page_flags, has, mapping_counts
from support import wait_until

from qemu_bridge.introspection.classes import PageMapBuilder
from qemu_bridge.wire.page_map import FLAG_HEAD, FLAG_HUGE, FLAG_MAPPED, FLAG_SHARED, ORDER_SHIFT
from qemu_bridge.wire.records import Grade, PageClass

pytestmark = pytest.mark.guest

MIB = 1 << 20
KSM = "/sys/kernel/mm/ksm"
THP = "/sys/kernel/mm/transparent_hugepage"
SIZES = {1: 64 << 12, 2: 4 * MIB, 3: 4 * MIB, 4: 2 * MIB, 11: 2 * MIB, **dict.fromkeys((5, 6, 7, 8, 9, 10), 16 << 12)}
ZEROES = (10, 11)


class Kinds:
    """The program in one guest: what the guest says of it, and the page map of the same moment."""

    def __init__(self, machine):
        self.machine = machine
        self.parent, self.child = sorted(int(pid) for pid in machine.exec("pidof kinds").split())
        self.look()

    def look(self):
        """Read inside, pause, read outside, read inside again."""
        machine = self.machine
        self.told = {(pid, area): self.frames(pid, area) for pid in (self.parent, self.child) for area in SIZES}
        self.smaps = {pid: self.read_smaps(pid) for pid in (self.parent, self.child)}
        self.merged = int(machine.exec(f"cat {KSM}/pages_shared"))
        with guest_page_flags(machine) as (self.flags, self.counts, self.stable):
            self.builder = PageMapBuilder(machine.ram, machine.kernel)
            self.page_map = self.builder.build(Grade.PAUSED)

    def compare(self):
        return compare(self.page_map, self.builder, self.flags, self.counts, self.stable)

    def frames(self, pid, area):
        """Frame of each page of an area, -1 for one that is not there (admin-guide/mm/pagemap.rst)."""
        first, count = area << 40 >> 12, SIZES[area] >> 12
        raw = self.machine.exec(f"dd if=/proc/{pid}/pagemap bs=8 skip={first} count={count} 2>/dev/null")
        words = np.frombuffer(raw, "<u8")
        return np.where(words >> np.uint64(63), (words & np.uint64((1 << 55) - 1)).astype(np.int64), -1)

    def read_smaps(self, pid):
        """Pages by field of /proc/PID/smaps, by area."""
        found = {}
        for block in re.split(r"^(?=[0-9a-f]+-)", self.machine.exec(f"cat /proc/{pid}/smaps").decode(), flags=re.M)[1:]:
            facts = {name: int(size) >> 2 for name, size in re.findall(r"^(\w+): +(\d+) kB", block, re.M)}
            found[int(block.partition("-")[0], 16) / (1 << 40)] = facts
        return found

    def pages(self, pid, area):
        """Pages of the RAM file of an area, all of which must be there."""
        frames = self.told[pid, area]
        assert (frames >= 0).all()
        return self.machine.ram.layout.frames_to_pages(frames.astype(np.uint64))

    def classes(self, pages):
        return {PageClass(number) for number in np.unique(self.page_map.entries["page_class"][pages]).tolist()}

    def sharers(self, pages):
        return {tuple(number - 1 for number in self.page_map.sharers(page)) for page in pages.tolist()}


@pytest.fixture(scope="module")
def kinds(each_machine, tmp_path_factory):
    machine = each_machine
    install(machine, compile_program(tmp_path_factory.mktemp("kinds"), KINDS), "/tmp/kinds")
    machine.exec("echo 4 >/proc/sys/vm/nr_hugepages")
    # The kernel makes no huge pages by itself in a guest of less than 512 MiB.
    mode = re.search(r"\[(\w+)\]", machine.exec(f"cat {THP}/enabled").decode())[1]
    machine.exec(f"echo madvise >{THP}/enabled; echo 1 >{THP}/use_zero_page")
    machine.exec(f"echo 5000 >{KSM}/pages_to_scan; echo 10 >{KSM}/sleep_millisecs; echo 1 >{KSM}/run")
    machine.exec("setsid /tmp/kinds </dev/null >/tmp/kinds.ready 2>/dev/null &")
    try:
        wait_until(lambda: machine.exec("cat /tmp/kinds.ready") == b"readyready")
        scans = int(machine.exec(f"cat {KSM}/full_scans"))
        wait_until(lambda: int(machine.exec(f"cat {KSM}/full_scans")) >= scans + 3)
        machine.exec(f"echo 0 >{KSM}/run")
        yield Kinds(machine)
    finally:
        machine.exec(
            f"killall -9 kinds; usleep 200000; rm /tmp/kinds /tmp/kinds.ready; echo 2 >{KSM}/run; echo 0 >{KSM}/run; "
            f"echo 0 >/proc/sys/vm/nr_hugepages; echo {mode} >{THP}/enabled"
        )


def test_flags_and_counts_are_those_of_the_guests_own_kpageflags_and_kpagecount(kinds):
    # A frame that changes hands all the time may look stable by chance: what is wrong is so in each look.
    for _ in range(3):
        assert kinds.stable.mean() > 0.9
        unexplained, explained, table = kinds.compare()
        print(table)
        if not unexplained.any() and explained.sum() <= 0.001 * kinds.stable.sum():
            break
        kinds.look()
    assert not unexplained.any(), table
    assert explained.sum() <= 0.001 * kinds.stable.sum(), table
    for flag in ("KSM", "THP", "HUGE", "ANON", "MMAP", "ZERO_PAGE", "BUDDY", "SLAB", "PGTABLE", "RESERVED"):
        assert has(kinds.flags[kinds.stable], flag).any(), f"no page with {flag} in this guest: nothing was compared"


def test_every_page_is_owned_by_those_whose_pagemap_leads_to_it(kinds):
    users = {}
    for (pid, area), frames in kinds.told.items():
        if area not in ZEROES:
            for frame in frames[frames >= 0].tolist():
                users.setdefault(frame, set()).add(pid)
    pages = kinds.machine.ram.layout.frames_to_pages(np.array(list(users), np.uint64))
    for page, pids in zip(pages.tolist(), users.values(), strict=True):
        entry = kinds.page_map.entries[page]
        assert tuple(number - 1 for number in kinds.page_map.sharers(page)) == tuple(sorted(pids))
        assert entry["flags"] & FLAG_MAPPED and bool(entry["flags"] & FLAG_SHARED) == (len(pids) > 1)
    assert sum(len(pids) == 2 for pids in users.values()) > 2000
    assert sum(pids == {kinds.child} for pids in users.values()) > 8


def test_each_area_is_of_its_kind_and_named(kinds):
    expected = {
        2: (PageClass.PROCESS_ANONYMOUS, "kinds"),
        3: (PageClass.HUGE_PAGE, "kinds"),
        4: (PageClass.HUGE_PAGE, "kinds"),
        5: (PageClass.PROCESS_FILE, "/dev/zero (deleted)"),
        6: (PageClass.PROCESS_FILE, "/memfd:kinds (deleted)"),
        7: (PageClass.PROCESS_FILE, "/SYSV00000000 (deleted)"),
        8: (PageClass.PROCESS_ANONYMOUS, "kinds"),
        9: (PageClass.PROCESS_ANONYMOUS, "kinds"),
        10: (PageClass.ZERO_PAGE, "kernel"),
        11: (PageClass.ZERO_PAGE, "kernel"),
    }
    found = {}
    for area in expected:
        rows = np.unique(kinds.page_map.entries[kinds.pages(kinds.parent, area)][["page_class", "owner_id"]]).tolist()
        found[area] = [(PageClass(number), kinds.page_map.owners[owner].name) for number, owner in rows]
    assert found == {area: [row] for area, row in expected.items()}


def test_merged_pages_are_as_many_as_the_kernel_counts(kinds):
    pages = kinds.pages(kinds.parent, 1)
    merged = kinds.page_map.entries["page_class"][pages] == PageClass.KSM
    assert merged.tolist() == [True] * 48 + [False] * 16
    assert len(set(pages[:32].tolist())) == len(set(pages[32:48].tolist())) == 1
    assert (kinds.page_map.entries["page_class"] == PageClass.KSM).sum() == kinds.merged == 2
    # Since release 6.6 smaps counts them as well.
    for pid in (kinds.parent, kinds.child):
        told = kinds.smaps[pid][1].get("KSM")
        ours = (kinds.page_map.entries["page_class"][kinds.pages(pid, 1)] == PageClass.KSM).sum()
        assert told is None or told == ours


def test_a_huge_page_is_one(kinds):
    flags = kinds.page_map.entries["flags"]
    for area in (2, 3, 4):
        for pages in kinds.pages(kinds.parent, area).reshape(-1, 512):
            assert pages[0] % 512 == 0 and (np.diff(pages) == 1).all()
            assert (flags[pages] & FLAG_HUGE != 0).all() and (flags[pages] >> ORDER_SHIFT == 9).all()
            assert np.flatnonzero(flags[pages] & FLAG_HEAD).tolist() == [0]
    copied = kinds.pages(kinds.child, 2)[1]
    assert not flags[copied] & FLAG_HUGE and copied != kinds.pages(kinds.parent, 2)[1]


def test_sizes_are_those_of_smaps(kinds):
    mapped = mapping_counts(kinds.builder)
    for pid in (kinds.parent, kinds.child):
        for area in (1, 2, 5, 6, 7, 8, 9):
            told, frames = kinds.smaps[pid][area], kinds.told[pid, area]
            pages = kinds.machine.ram.layout.frames_to_pages(frames[frames >= 0].astype(np.uint64))
            shared = int((mapped[pages] > 1).sum())
            assert told["Rss"] == len(pages), (pid, area)
            assert told["Shared_Clean"] + told["Shared_Dirty"] == shared, (pid, area)
            assert told["Private_Clean"] + told["Private_Dirty"] == len(pages) - shared, (pid, area)
        for area in (3, 4):
            assert kinds.smaps[pid][area]["Shared_Hugetlb"] == (mapped[kinds.pages(pid, area)] > 1).sum()
        for area in ZEROES:
            assert kinds.smaps[pid][area]["Rss"] == 0
    assert kinds.smaps[kinds.parent][2]["AnonHugePages"] == 1024
    # The child has written to the first one, which it maps piece by piece since.
    assert kinds.smaps[kinds.child][2]["AnonHugePages"] == 512
