"""The blocks of a dictionary as columns."""

import numpy as np
from trace_producer import record

from qemu_bridge.trace.file.block_table import BlockTable
from qemu_bridge.trace.file.native import NONE
from qemu_bridge.trace.file.records import Flow
from tcg_plugin.layout import NO_OFFSET, BlockFlag

RECORDS = (
    record(7, 0x400010, b"\x90\xc3", [1, 1], offset=0x7010, ring=3),
    record(2, 0xFFFF8000, b"\xeb\xfe", [2], offset=0x3000, flags=BlockFlag.MOVABLE),
    record(9, 0xFFFF9000, b"\x90", [1], offset=0x4000),
    record(5, 0x500000, b"\x0f\x05", [2], offset=NO_OFFSET, ring=3, mode=32),
)


def table():
    return BlockTable(np.frombuffer(b"".join(RECORDS), np.uint8).copy())


def test_columns_are_the_records():
    found = table()
    assert len(found) == 4 and found.ids.tolist() == [7, 2, 9, 5] and found.instructions.tolist() == [2, 1, 1, 1]
    assert found.addresses.tolist() == [0x400010, 0xFFFF8000, 0xFFFF9000, 0x500000]
    assert found.rings.tolist() == [3, 0, 0, 3] and found.modes.tolist() == [64, 64, 64, 32]
    assert [found.record(number) for number in range(4)] == list(RECORDS)
    assert found.code(0) == b"\x90\xc3" and found.lengths(0).tolist() == [1, 1]


def test_only_user_code_and_early_kernel_code_in_ram_has_a_page():
    pages, slots = table().pages
    assert pages.tolist() == [3, 7] and slots.tolist() == [1, 0, NONE, NONE]


def test_endings_say_how_a_block_goes_on():
    assert table().endings["flow"].tolist() == [Flow.ANY, Flow.JUMP, Flow.NEXT, Flow.ANY]


def test_a_dictionary_may_be_empty():
    assert len(BlockTable(np.empty(0, np.uint8))) == 0
