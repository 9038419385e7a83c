"""Pages of processes, against the guest's own /proc/PID/pagemap."""

import base64
import struct

import numpy as np
import pytest
from guest_programs import make_elf
from overlay_checks import asking_shell
from page_oracle import settle
from support import wait_until

from qemu_bridge.introspection.classes import PageMapBuilder, mapping_class
from qemu_bridge.memory.addresses import PAGE_SIZE
from qemu_bridge.memory.paging import Half
from qemu_bridge.wire.page_map import FLAG_MAPPED, FLAG_SHARED
from qemu_bridge.wire.records import Grade, PageClass

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
    shell = asking_shell(machine)
    pids &= {pid for pid, _, _ in after} - {shell}
    lived = {key: frames for key, frames in inside.items() if key[0] in pids}
    steady = {key: frames for key, frames in lived.items() if after.get(key) == frames}
    # What lives on, but for the shell that asks. A process may end or be replaced meanwhile: a later image has its number.
    changed = sorted({key[0] for key in lived} - {key[0] for key in steady})
    assert len({key[0] for key in steady}) >= 3 and len(steady) > len(lived) // 2, (
        changed,
        sorted(lived.keys() - steady.keys()),
    )
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
    return make_elf(code)


@pytest.mark.guest
def test_what_a_fork_shares_belongs_to_both(roomy):
    program = base64.b64encode(forking_program()).decode()
    roomy.exec(f"echo {program} | base64 -d > /tmp/forker; chmod +x /tmp/forker; /tmp/forker >/dev/null 2>&1 &")
    # It forks after the last page is filled.
    wait_until(lambda: len(roomy.exec("pidof forker; true").split()) == 2)
    pids = sorted(int(pid) for pid in roomy.exec("pidof forker").split())
    page_map = roomy.client.page_map().value
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
    roomy.exec("kill -9 $(pidof forker)")
    # The kernel takes a killed process apart when its turn comes, which on a busy host is after the shell has answered.
    wait_until(lambda: "forker" not in {owner.name for owner in roomy.client.page_map().value.owners.values()})
