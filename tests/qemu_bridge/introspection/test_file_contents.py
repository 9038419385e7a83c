"""Contents of files in RAM: every file of the guest, by the hashes that it gives itself."""

from __future__ import annotations

import hashlib

import pytest
from guest_programs import HEADER, compile_program, install

from qemu_bridge.errors import UsageError
from qemu_bridge.introspection.file_contents import read_files
from qemu_bridge.kernel.budget import Budget
from qemu_bridge.memory.addresses import PAGE_SIZE

pytestmark = pytest.mark.guest


def read(machine, target="", *, with_runs=True):
    machine.context.forget()
    budget = Budget()
    with machine.context.objects.charged_to(budget):
        found = list(read_files(machine.context, budget, target, with_runs=with_runs))
    assert budget.complete, budget.skipped
    return found


def content(machine, file):
    found = bytearray(file.size)
    for run in file.runs:
        found[run.offset : run.offset + run.size] = machine.ram.read(run.physical, run.size)
    return bytes(found)


@pytest.mark.every_kernel
def test_every_file_of_memory_has_the_hash_that_the_guest_gives(each_machine):
    # /dev/shm of tmpfs, where the root may be of ramfs; a large file, for folios of several pages.
    each_machine.exec("head -c 1000001 /dev/urandom >/tmp/large; cp /tmp/large /dev/shm/large 2>/dev/null || true")
    lines = each_machine.exec("find /bin /sbin /etc /tmp /dev/shm -type f -exec sha256sum {} +").decode().splitlines()
    wanted = dict(reversed(line.split("  ", 1)) for line in lines)
    found = {file.path: file for file in read(each_machine, "file:/*")}
    assert len(wanted) > 10 and not set(wanted) - set(found)
    differ = [
        path
        for path, digest in wanted.items()
        if hashlib.sha256(content(each_machine, found[path])).hexdigest() != digest
    ]
    assert not differ
    assert all(found[path].is_of_memory for path in wanted)
    each_machine.exec("rm -f /tmp/large /dev/shm/large")


def test_owner_mode_time_and_size_are_those_of_stat(machine):
    machine.exec(
        "echo some >/tmp/marked; chown 12:34 /tmp/marked; chmod 4750 /tmp/marked; touch -d @1234567890 /tmp/marked"
    )
    (file,) = read(machine, "file:/tmp/marked")
    mode, uid, gid, mtime, inode = machine.exec("stat -c '%f %u %g %Y %i' /tmp/marked; rm /tmp/marked").split()
    assert (file.mode, file.uid, file.gid) == (int(mode, 16), int(uid), int(gid))
    assert (file.mtime_s, file.inode, file.size) == (int(mtime), int(inode), 5)


def test_a_device_keeps_what_was_read_of_it_and_no_more(machine):
    """A loop device over a file: its own cache has the pages that were read; the others are missing."""
    machine.exec(
        "head -c 1000448 /dev/zero >/tmp/disk; dd if=/dev/urandom of=/tmp/disk bs=4096 count=16 conv=notrunc 2>/dev/null"
    )
    if not machine.exec("modprobe loop 2>/dev/null; losetup -f 2>/dev/null || true"):
        machine.exec("rm /tmp/disk")
        pytest.skip("this guest has no loop devices")
    device = (
        machine.exec(
            "d=$(losetup -f); losetup $d /tmp/disk; echo 0 >/sys/block/${d#/dev/}/queue/read_ahead_kb; echo $d"
        )
        .decode()
        .strip()
    )
    # A device that nobody has open is cached by none.
    pid = int(machine.exec(f"sleep 10000 <{device} >/dev/null 2>&1 & echo $!"))
    try:
        start = machine.exec(f"dd if={device} bs=4096 count=4 2>/dev/null")
        major, minor = machine.exec(f"stat -c '%t %T' {device}").decode().split()
        (file,) = read(machine, f"file:'block device {int(major, 16)}:{int(minor, 16)}'")
        assert file.size == 1000448 // 512 * 512 and 4 * PAGE_SIZE <= file.in_memory < file.size
        assert content(machine, file)[: 4 * PAGE_SIZE] == start and not file.is_of_memory
    finally:
        machine.exec(f"kill {pid}; losetup -d {device}; rm /tmp/disk")


@pytest.mark.parametrize("target", ["pid:1", "file:/a + file:/b", "all"])
def test_a_target_that_is_not_one_of_files_is_refused(machine, target):
    with pytest.raises(UsageError, match="does not name files"):
        read(machine, target)


MEMFD = (
    HEADER
    + """
static char buffer[10000];
void _start(void) {
    long file = ask(319, (long)"hidden", 0, 0, 0, 0, 0);
    for (long at = 0; at < sizeof buffer; at++) buffer[at] = at * 7 % 251;
    ask(1, file, (long)buffer, sizeof buffer, 0, 0, 0);
    for (;;) ask(34, 0, 0, 0, 0, 0, 0);
}
"""
)


def test_a_memfd_has_the_bytes_that_its_process_wrote(machine, tmp_path):
    install(machine, compile_program(tmp_path, MEMFD), "/tmp/memfd")
    pid = int(machine.exec("/tmp/memfd >/dev/null 2>&1 & echo $!; usleep 300000"))
    try:
        (file,) = read(machine, "file:/memfd:hidden")
        assert file.path == "/memfd:hidden (deleted)" and file.is_of_memory and file.in_memory == file.size == 10000
        assert content(machine, file) == bytes(at * 7 % 251 for at in range(10000))
    finally:
        machine.exec(f"kill {pid}; rm /tmp/memfd")
