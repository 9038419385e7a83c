"""Words of a ring, taken apart."""

import numpy as np
import pytest
from trace_producer import Event, event, split64
from trace_records import decode_all

from qemu_bridge.errors import TraceError
from qemu_bridge.trace.file.access_stream import AccessEncoder
from qemu_bridge.trace.file.columns import Columns
from tcg_plugin import layout


def test_words_are_taken_apart_into_ids_events_and_accesses():
    address = 0xFFFF888000001234
    words = [
        *(7, event(layout.Event.SYSCALL, *split64(0x80000001))),
        *(
            8,
            2 << 30 | 1 << 29 | 1 << 28 | 3 << 25 | 5 << 16 | address >> 32 & 0xFFFF,
            address & 0xFFFFFFFF,
            0x11,
            0x22,
        ),
        *(2 << 30 | 0 << 25 | 6 << 16, 0x99, 9),
        event(Event.MEM_WIDE, 2 << 30 | 4 << 25 | 3 << 16, *split64(0x1234567890ABCDEF)),
    ]
    flat = np.array([w for part in words for w in (part if isinstance(part, list) else [part])], np.uint32)
    columns, accesses = Columns(len(flat)), AccessEncoder()
    accesses.reserve(10)
    columns.split(flat, accesses)
    assert columns.ids[: columns.id_count].tolist() == [7, 8, 9]
    assert columns.event_count == 1 and columns.event_at[0] == 1
    assert columns.event_words[: columns.event_word_count].tolist()[1:] == split64(0x80000001)
    at, meta, addresses, values = decode_all(accesses, columns.ids[: columns.id_count], 10)
    assert at.tolist() == [2, 2, 3]
    assert addresses.tolist() == [address, 0x99, 0x1234567890ABCDEF]
    assert meta[0] == 1 << 13 | 1 << 12 | 3 << 9 | 5
    assert values.tolist() == [[0x22 << 32 | 0x11, 0], [0, 0], [0, 0]]


@pytest.mark.parametrize(
    "words", [[3 << 30 | 5 << 16], [2 << 30], [2 << 30 | 7 << 25, 0], [1, 2 << 30 | 1 << 28 | 4 << 25, 0, 0]]
)
def test_words_that_reach_beyond_a_chunk_are_refused_and_nothing_of_it_is_kept(words):
    columns, accesses = Columns(100), AccessEncoder()
    accesses.reserve(10)
    with pytest.raises(TraceError):
        columns.split(np.array(words, np.uint32), accesses)
    assert (columns.id_count, columns.event_count, accesses.count) == (0, 0, 0)
