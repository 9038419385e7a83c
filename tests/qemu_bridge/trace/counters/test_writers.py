"""A row of the last writers made into words, with a guest that answers badly or not at all."""

import numpy as np

from qemu_bridge.errors import MachineError
from qemu_bridge.memory.addresses import RamLayout
from qemu_bridge.trace.counters.writers import WRITER, name_writer
from tcg_plugin.layout import NO_OFFSET

LAYOUT = RamLayout.from_rule("pc", 64 << 20)


class Silent:
    """Nobody answers."""

    def sym(self, *_):
        raise MachineError("no answer; start it again")

    ps = identify = sym


def words(code, root):
    found = name_writer(Silent(), np.array([(code, root)], WRITER)[0], LAYOUT)
    return None if found is None else str(found)


def test_a_page_without_a_store_has_no_writer():
    assert words(0, 0) is None


def test_what_cannot_be_asked_for_is_left_out_of_the_words():
    assert words(0xFFFFFFFF81000000, 0x1000) == "last written by 0xffffffff81000000"
    assert words(0x1000, 0x1000) == "last written by 0x1000"
    assert words(NO_OFFSET, 0x1000) == "last written by code outside RAM"


def test_an_offset_behind_the_end_of_ram_is_no_error():
    assert words(1 << 62, 5).startswith("last written by")
