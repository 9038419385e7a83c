"""Names of files and slab caches that pages belong to."""

from collections import Counter

import numpy as np
import pytest

from qemu_bridge.introspection.classes import PageMapBuilder
from qemu_bridge.wire.records import Grade, PageClass


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


def pages_called(machine, name):
    page_map = machine.client.page_map().value
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
def test_a_file_has_the_path_that_process_1_sees_though_the_kernel_mounts_its_file_system_too(roomy):
    roomy.exec("head -c 65536 /dev/urandom > /dev/shm/seen")
    found, classes = pages_called(roomy, "/dev/shm/seen")
    roomy.exec("rm /dev/shm/seen")
    assert len(found) == 16 and (classes[found] == PageClass.SHMEM).all()


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
    roomy.exec("mv /tmp/c /tmp/d")
    assert "/tmp/d/x" in {owner.name for owner in builder.build(Grade.LIVE, complete=True).owners.values()}
    roomy.exec("rm -r /tmp/d")
