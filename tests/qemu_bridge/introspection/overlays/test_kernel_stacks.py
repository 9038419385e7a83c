"""Kernel stacks, against /proc/PID/stack."""

from __future__ import annotations

import re

import numpy as np
import pytest
from overlay_checks import EACH_THREAD, look, parse_threads, read

from qemu_bridge.kernel.orc import OrcTables

pytestmark = pytest.mark.guest


SLOW_DISK = """
mkdir -p /mnt/cg; mount -t cgroup2 none /mnt/cg; echo +io >/mnt/cg/cgroup.subtree_control; mkdir /mnt/cg/slow
dd if=/dev/zero of=/tmp/disk bs=1M count=2 2>/dev/null; losetup /dev/loop0 /tmp/disk; losetup /dev/loop1 /dev/loop0
echo "7:0 rbps=2" >/mnt/cg/slow/io.max; echo 3 >/proc/sys/vm/drop_caches
sh -c 'echo $$ >/mnt/cg/slow/cgroup.procs; exec dd if=/dev/loop1 of=/dev/null bs=4096 count=1 skip=200' >/dev/null 2>&1 &
usleep 500000
"""


QUICK_DISK = """
echo "7:0 rbps=max" >/mnt/cg/slow/io.max; usleep 500000; losetup -d /dev/loop1; losetup -d /dev/loop0
rm /tmp/disk; rmdir /mnt/cg/slow; umount /mnt/cg; rmdir /mnt/cg
"""


@pytest.mark.usefixtures("with_modules")
def test_a_stack_is_unwound_through_a_module(each_machine, context):
    """A block device on a block device that may read two bytes a second: its worker waits, with the module on its stack."""
    each_machine.exec(SLOW_DISK)
    try:
        steady, rows = look(
            each_machine, context, "kernel-stacks", EACH_THREAD % "stack", lambda text: parse_threads(text, parse_stack)
        )
    finally:
        each_machine.exec(QUICK_DISK)
    through = {thread: entry[2] for thread, entry in steady.items() if "[loop]" in " ".join(entry[2])}
    assert through
    for thread, frames in through.items():
        assert tuple(row["symbol"] for row in rows if row["thread_id"] == thread) == frames
        assert not frames[-1].endswith("[loop]") and all(row["certain"] for row in rows if row["thread_id"] == thread)


def parse_stack(text):
    return tuple(re.findall(r"^\[<0>\] (.*)$", text, re.MULTILINE))


@pytest.mark.every_kernel
def test_kernel_stacks_are_those_of_proc(each_machine, context, threaded):
    steady, rows = look(
        each_machine, context, "kernel-stacks", EACH_THREAD % "stack", lambda text: parse_threads(text, parse_stack)
    )
    found = {}
    for row in rows:
        found.setdefault(row["thread_id"], []).append(row["symbol"])
    steady = {thread: entry[2] for thread, entry in steady.items()}
    assert len(steady) > 30 and sum("pause" in " ".join(frames) for frames in steady.values()) >= 4
    assert {thread: tuple(found.get(thread, ())) for thread in steady} == steady


def test_without_unwind_tables_the_search_finds_every_call_and_marks_it(each_machine, context, monkeypatch):
    with each_machine.paused():
        certain = read(context, "kernel-stacks")
        monkeypatch.setattr(OrcTables, "_read_addresses", lambda self, *_: np.zeros(0, np.int64))
        guessed = read(context, "kernel-stacks")
    assert all(row["certain"] for row in certain) and len(certain) > 100
    innermost = [row for row in guessed if row["certain"]]
    assert all(row["depth"] == 0 for row in innermost)
    assert all(row["symbol"].startswith("? ") for row in guessed if not row["certain"])
    known = {(row["thread_id"], row["address"]) for row in certain}
    # Where a thread begins nobody calls: its first return address is made by hand.
    missed = known - {(row["thread_id"], row["address"]) for row in guessed}
    assert not {row["symbol"] for row in certain if (row["thread_id"], row["address"]) in missed and row["depth"] == 0}
    assert len(missed) <= len({row["thread_id"] for row in certain})
