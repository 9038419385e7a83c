"""Faults in the loops of a real guest's tools: none that shows is called proved, and each refutation's inputs really differ."""

from __future__ import annotations

import pytest
from planted_faults import plant
from support import recording

from pixel_cpu.learn.loop_library import write_library
from pixel_cpu.learn.mine import find_loops
from qemu_bridge.trace.analysis.mining import mine

pytestmark = [pytest.mark.guest, pytest.mark.long, pytest.mark.timeout(5400)]

WORK = "cd /tmp; cat /bin/busybox > sums; for tool in sha256sum sha512sum md5sum cksum gzip; do $tool < sums > out; done; sort sums > out; rm sums out"
FAULTS, EACH = 200, 24


def test_no_fault_in_a_guests_loops_is_called_proved(machine, tmp_path):
    path = tmp_path / "work.gbt"
    with recording(machine, path):
        machine.exec(WORK, timeout_s=600)
    with mine(path) as found:
        said = plant(write_library(tmp_path / "library", find_loops(found, count=30)), EACH, 3.0)
    # Many are not decided in so little time; what counts is that none which shows is called proved.
    assert said.total() - said["unfit"] >= FAULTS and said["refuted"] >= FAULTS // 10, said
