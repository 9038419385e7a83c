"""The memory of targets."""

from __future__ import annotations

import numpy as np
import pytest

from qemu_bridge.errors import UsageError
from viewer.picture.offscreen import load_scene, show_glow
from viewer.sources.machine import MachineSource
from viewer.sources.targets import find_pages


def test_without_a_machine_nobody_can_be_asked(source):
    with pytest.raises(UsageError, match="pid:1"):
        find_pages(source, "pid:1", 512)


@pytest.mark.guest
def test_a_target_of_a_machine_stands_out_and_stands_in_the_legend(machine, device):
    with MachineSource(machine.name) as source:
        scene = load_scene(source, device)
        show_glow(scene, source, "pid:1/stack")
        title, count = scene.highlighted
        found = machine.client.resolve("pid:1/stack").value
        assert title == "pid:1/stack" and count == len(scene.page_style.marked(1 << 17)) > 0
        assert count <= sum(-(-each.size >> 12) + 1 for each in found.ranges)
        show_glow(scene, source, "")
        assert scene.highlighted == ("", 0) and not scene.page_style.has_marks
        with pytest.raises(UsageError):
            show_glow(scene, source, "pid:1/")
        assert np.array_equal(find_pages(source, "pid:1/stack", 1), np.zeros(0, np.int64))
