"""The kernel's log, against dmesg."""

from __future__ import annotations

import pytest
from overlay_checks import read

pytestmark = pytest.mark.guest


def test_the_log_is_what_dmesg_prints(each_machine, context):
    each_machine.exec("echo 'two\nlines: ünïcode \x01' >/dev/kmsg; echo '<3>glassbox: an error' >/dev/kmsg")
    before = each_machine.exec("dmesg").decode().splitlines()
    with each_machine.paused():
        rows = read(context, "dmesg")
    after = each_machine.exec("dmesg").decode().splitlines()
    found = [f"[{row['time']}] {line}" for row in rows for line in (row["text"].splitlines() or [""])]
    assert len(found) > 100
    assert before == found[: len(before)] and found == after[: len(found)]
    error = next(row for row in rows if row["text"] == "glassbox: an error")
    assert error["level"] == "error"
