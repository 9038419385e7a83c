"""A guest's own tools with the loops of their trace in place: the same answers as without, and most rounds done natively."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest
from support import booted, recording

from pixel_cpu.learn.loop_library import write_library
from pixel_cpu.learn.mine import find_loops
from pixel_cpu.learn.native import build_library
from qemu_bridge.trace.analysis.mining import mine
from qemu_bridge.trace.recording.control import TraceControl
from tcg_plugin.layout import Learned

pytestmark = [pytest.mark.guest, pytest.mark.long]

FILE = "cd /tmp; for i in 1 2 3 4; do cat /bin/busybox; done > sums"
WORK = "cd /tmp; cksum sums; md5sum sums; sha1sum sums; sha256sum sums; sha512sum sums; gzip -c sums | cksum"
TREE = """cd "$1" && rm -rf tree && mkdir tree && cd tree
folder=0
while [ $folder -lt 6 ]; do
  mkdir d$folder
  file=0
  while [ $file -lt 8 ]; do
    size=$(( ($2 * 7919 + folder * 104729 + file * 15485863) % 200000 ))
    tail -c +$(( $2 % 4096 + file + 1 )) "$3" | head -c $size > d$folder/f$file
    file=$((file + 1))
  done
  gzip -nc d$folder/f0 | gunzip -c > d$folder/copy
  folder=$((folder + 1))
done
for tool in cksum md5sum sha1sum sha256sum sha512sum; do find . -type f | LC_ALL=C sort | xargs $tool; done
cd .. && rm -rf tree
"""
"""Of a folder, a number and a file: the checksums of a tree of files that are cut out of it. The same on this host, whose tools are others."""
MINUTES = [1 / 3, 10.0]


@pytest.fixture(scope="module")
def program(machine, tmp_path_factory):
    """The guest's busybox, of which the files of trees are made."""
    path = tmp_path_factory.mktemp("program") / "busybox"
    path.write_bytes(machine.exec("cat /bin/busybox"))
    return path


@pytest.fixture(scope="module")
def loops(machine, program, tmp_path_factory):
    """The loops of a trace of that work, each as a native library."""
    folder = tmp_path_factory.mktemp("learned")
    machine.exec(FILE)
    with recording(machine, folder / "work.gbt"):
        machine.exec(WORK, timeout_s=300)
        of_tree(machine, 0, program)
    machine.exec("rm /tmp/sums")
    with mine(folder / "work.gbt") as found:
        assert list(write_library(folder / "library", find_loops(found, count=16)))
    built = build_library(folder / "library")
    assert len(built.paths) >= 4, built.refused
    return built.paths


@contextmanager
def learned_machine(image, loops, qemu11):
    with (
        mock.patch.dict(os.environ, {"GLASSBOX_QEMU": qemu11}),
        booted("tools", image, learned=loops, unproved=True) as found,
    ):
        yield found


def of_tree(machine, number: int, program: Path) -> None:
    """The checksums of a tree in the guest are those on this host."""
    said = machine.exec(
        f"cat > /tmp/tree.sh <<'END'\n{TREE}END\nsh /tmp/tree.sh /tmp {number} /bin/busybox", timeout_s=300
    )
    here = program.with_suffix(".host")
    here.mkdir(exist_ok=True)
    command = ["sh", "-c", TREE, "tree", here, str(number), program]
    assert said == subprocess.run(command, check=True, capture_output=True).stdout, number


@pytest.mark.timeout(900)
def test_checksums_of_a_guest_are_the_same_with_their_loops_in_place(machine, image, qemu11, loops):
    machine.exec(FILE)
    wanted = machine.exec(WORK, timeout_s=300)
    machine.exec("rm /tmp/sums")
    with learned_machine(image, loops, qemu11) as learned:
        learned.exec(FILE)
        assert learned.exec(WORK, timeout_s=300) == wanted
        rows = learned.client.learned()
    assert not any(loop.mismatches for loop in rows)
    assert sum(loop.rounds > 100_000 for loop in rows) >= 2, rows


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("minutes", MINUTES, ids=lambda minutes: f"{minutes:.2g} min")
def test_a_guest_that_sums_trees_of_files_for_long_says_what_this_host_says(minutes, image, qemu11, loops, program):
    """Three quarters of the time in place, the last one in shadow, in which every entry of a loop is compared."""
    with learned_machine(image, loops, qemu11) as learned:
        control = TraceControl(Path(learned.client.connection.trace_path))
        number = 0
        try:
            for wanted, share in ((Learned.UNPROVED, 0.75), (Learned.SHADOW, 0.25)):
                control.block.learned_wanted = wanted
                before = learned.client.learned()
                end = time.monotonic() + 60 * minutes * share
                while True:
                    of_tree(learned, number, program)
                    number += 1
                    if time.monotonic() > end:
                        break
                rows = learned.client.learned()
                print(f"{wanted.name}: {number} trees so far")
                for loop in rows:
                    print(
                        f"  {loop.name}: {loop.rounds} rounds in place, {loop.compared} compared, {loop.mismatches} differ, {loop.refusals}"
                    )
                assert not any(loop.mismatches for loop in rows), rows
                done = [after.rounds - old.rounds for old, after in zip(before, rows, strict=True)]
                compared = [after.compared - old.compared for old, after in zip(before, rows, strict=True)]
                if wanted is Learned.UNPROVED:
                    assert sum(rounds > 100_000 for rounds in done) >= 2, rows
                else:
                    assert not any(done) and sum(count > 100 for count in compared) >= 2, rows
        finally:
            control.close()
