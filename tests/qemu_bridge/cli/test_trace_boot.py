"""``start --trace-from-boot``: a recorder in a process of its own."""

import numpy as np
import pytest
from support import find_sound, glassbox, wait_until

from qemu_bridge.client import Client
from qemu_bridge.trace.file.reader import TraceReader
from tcg_plugin.layout import BlockFlag

pytestmark = pytest.mark.guest


def test_a_boot_is_recorded_from_its_first_instruction(image, tmp_path):
    path = tmp_path / "boot.gbt"
    words = ("start", "from-boot", "--image", image.name, "--trace-from-boot", str(path), "--wait")
    answer = glassbox(*words)
    assert answer.returncode == 0, answer.stderr
    with Client.connect("from-boot") as client:
        client.stop()
    wait_until(lambda: TraceReader(path).info.is_complete)
    find_sound(path)
    with TraceReader(path) as trace:
        first = next(trace.blocks())
        assert first.addresses[0] == 0xFFFFFFF0, "the reset vector"
        assert trace.info.file_bytes < 0.02 * trace.info.instructions
        table, numbers = first.table, first.numbers
        offsets = table.offsets[numbers]
        early = (table.flags[numbers] & BlockFlag.MOVABLE != 0) & (first.addresses >> np.uint64(63) == 0)
        # In the identity map an address is the place in RAM, and some of that code was first seen in the upper half.
        assert (first.addresses[early] == offsets[early]).all()
        assert (table.addresses[numbers][early] >> np.uint64(63) == 1).any()
