"""The page map step by step against a fresh one, and on memory that lies."""

import contextlib
import os
import random
import struct
import tracemalloc

import numpy as np
import pytest

from qemu_bridge.errors import GlassBoxError
from qemu_bridge.introspection.classes import PageMapBuilder
from qemu_bridge.introspection.questions import Questions
from qemu_bridge.kernel.symbols import KernelSymbols
from qemu_bridge.memory.addresses import PAGE_SIZE
from qemu_bridge.memory.ram import GuestRam
from qemu_bridge.wire.page_map import PageMap
from qemu_bridge.wire.records import Grade, PageClass

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
    nameless, was_nameless = (
        np.isin(page_map.entries["page_class"], [PageClass.OTHER, PageClass.KERNEL_PAGES, PageClass.RESERVED])
        for page_map in (fresh, refreshed)
    )
    differs = np.flatnonzero(nameless != was_nameless)
    assert not len(differs), (
        [(hex(p), refreshed.entries[p], fresh.entries[p]) for p in differs[:5].tolist()],
        (len(differs), refreshed.skipped, fresh.skipped),
    )
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
        path = machine.ram.copy_to(tmp_path / "mutant")
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
                assert len(made.build(Grade.CAPTURE).entries) == len(made.build(Grade.CAPTURE).entries)
            for at, was in reversed(changes):
                os.pwrite(file.fileno(), was, at)


@pytest.mark.guest
@pytest.mark.parametrize("number", [1 << 22, (1 << 24) - 1, (1 << 31) - 1, (1 << 32) - 1])
def test_a_task_of_an_impossible_number_is_left_out_and_takes_no_memory(machine, tmp_path, number):
    with machine.paused():
        path = machine.ram.copy_to(tmp_path / "mutant")
    context = machine.context
    context.forget()
    task = next(
        context.objects.linked(
            context.objects.address_of("init_task") + context.objects.offset("task_struct", "tasks"),
            "task_struct",
            "tasks",
        )
    )
    with GuestRam(path, machine.ram.layout) as ram, path.open("r+b", buffering=0) as file:
        for field in ("tgid", "pid"):
            place = ram.layout.to_offset(context.objects.physical(task.at(field)))
            was = os.pread(file.fileno(), 4, place)
            os.pwrite(file.fileno(), struct.pack("<I", number), place)
            questions = Questions(ram, tmp_path / "page-map")
            tracemalloc.start()
            answer = questions.refresh_page_map()
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 1 << 30
            assert any("impossible numbers" in note for note in answer.skipped)
            assert all(owner.pid < 1 << 22 for owner in answer.value.owners)
            assert questions.ps() and questions.identify("0x100000", None) and questions.resolve("all", False)
            os.pwrite(file.fileno(), was, place)


def machine_direct(builder):
    return builder._read.page_offset
