"""The verbs of checkpoints, as somebody types them."""

import re
import shutil

import pytest
from support import glassbox

from qemu_bridge.timeline.checkpoints import folder_of

pytestmark = pytest.mark.guest


def test_a_machine_is_brought_back_by_its_verbs_and_an_unknown_tag_is_told_those_that_there_are(machine):
    try:
        taken = glassbox("checkpoint", machine.name, "before")
        assert taken.returncode == 0 and re.search(r"before: \d+ MiB of RAM, paused for \d+ ms", taken.stderr)
        machine.exec("touch /tmp/later")
        assert glassbox("restore", machine.name, "before").returncode == 0
        assert machine.exec("ls /tmp/later 2>/dev/null || echo none").strip() == b"none"
        assert "before" in glassbox("checkpoints", machine.name).stdout
        unknown = glassbox("restore", machine.name, "other")
        assert unknown.returncode == 2 and "there are before" in unknown.stderr
    finally:
        shutil.rmtree(folder_of(machine.name), ignore_errors=True)
