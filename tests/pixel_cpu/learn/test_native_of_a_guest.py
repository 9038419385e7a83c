"""A guest's own tools with the loops of their trace in place: the same answers as without, and most rounds done natively."""

from __future__ import annotations

import os
from unittest import mock

import pytest
from support import booted, recording

from pixel_cpu.learn.loop_library import write_library
from pixel_cpu.learn.mine import find_loops
from pixel_cpu.learn.native import build_library
from qemu_bridge.trace.analysis.mining import mine

pytestmark = [pytest.mark.guest, pytest.mark.long, pytest.mark.timeout(900)]

FILE = "cd /tmp; for i in 1 2 3 4; do cat /bin/busybox; done > sums"
WORK = "cd /tmp; cksum sums; md5sum sums; sha1sum sums; sha256sum sums; sha512sum sums; gzip -c sums | cksum"


def test_checksums_of_a_guest_are_the_same_with_their_loops_in_place(machine, image, qemu11, tmp_path):
    machine.exec(FILE)
    wanted = machine.exec(WORK, timeout_s=300)
    with recording(machine, tmp_path / "work.gbt"):
        machine.exec(WORK, timeout_s=300)
    machine.exec("rm /tmp/sums")
    with mine(tmp_path / "work.gbt") as found:
        assert list(write_library(tmp_path / "library", find_loops(found, count=12)))
    loops, refused = build_library(tmp_path / "library")
    assert len(loops) >= 4, refused
    with mock.patch.dict(os.environ, {"GLASSBOX_QEMU": qemu11}), booted("tools", image, learned=loops) as learned:
        learned.exec(FILE)
        assert learned.exec(WORK, timeout_s=300) == wanted
        rows = learned.client.learned()
    assert not any(loop.mismatches for loop in rows)
    assert sum(loop.rounds > 100_000 for loop in rows) >= 2, rows
