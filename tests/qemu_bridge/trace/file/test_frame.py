"""One frame as arrays: events, page-table roots, loads and stores, registers."""

import numpy as np
import pytest
from trace_producer import Event, event, split64, window_start, window_stop
from trace_program import pieces_of, record_words

from qemu_bridge.errors import UsageError
from qemu_bridge.trace.file.reader import TraceReader
from tcg_plugin.layout import REGISTERS


def test_events_have_positions_and_values(program, tmp_path):
    words = [1, *event(Event.SYSCALL, *split64(1 << 40 | 5)), 2, 3, *event(Event.IDLE, *split64(9))]
    with TraceReader(record_words(tmp_path, program, [window_start(), words, window_stop()])) as trace:
        (events,) = trace.events()
        assert events.types.tolist() == [Event.WINDOW_START, Event.SYSCALL, Event.IDLE, Event.WINDOW_STOP]
        assert events.positions.tolist() == [0, 1, 3, 3]
        (index,) = events.where(Event.SYSCALL)
        assert events.value(index) == 1 << 40 | 5 and events.value(index, 1) == 0


def test_roots_change_where_page_tables_are_loaded(program, tmp_path):
    load = event(Event.PAGE_TABLE, *split64(0x6000))
    words = [[*window_start(root=0x5000), 1, 2, *load, 3, *window_stop()]]
    with TraceReader(record_words(tmp_path, program, words)) as trace:
        frame = trace.frame(0)
        at, roots = frame.root_changes()
        assert (at.tolist()[1:], roots.tolist()[1:]) == ([0, 2], [0x5000, 0x6000])
        assert frame.roots().tolist() == [0x5000, 0x5000, 0x6000]


def test_registers_belong_to_the_block_that_follows(program, tmp_path):
    values = [word for number in range(len(REGISTERS)) for word in split64(number << 33)]
    words = [
        [*window_start(), 1, *event(Event.REGISTERS, *values), 2, *event(Event.REGISTERS, 1, 2), 3, *window_stop()]
    ]
    with TraceReader(record_words(tmp_path, program, words)) as trace:
        found = trace.frame(0).registers()
        assert found.blocks.tolist() == [1] and found.addresses.tolist() == [program.address(2)]
        assert found.column("rdi").tolist() == [REGISTERS.index("rdi") << 33] and found.values.shape == (1, 18)
        with pytest.raises(UsageError, match="xmm0"):
            found.column("xmm0")


def test_loads_and_stores_have_size_direction_and_value(program, tmp_path):
    store = [2 << 30 | 1 << 29 | 1 << 28 | 2 << 25 | 3 << 16, 0x5000, 77]
    load = [2 << 30 | 4 << 16, 0x6001]
    with TraceReader(
        record_words(tmp_path, program, [[*window_start(), 1, *store, 2, *load, *window_stop()]])
    ) as trace:
        found = trace.frame(0).memory()
        assert (found.blocks.tolist(), found.instructions.tolist()) == ([0, 1], [3, 4])
        assert (found.addresses.tolist(), found.sizes.tolist()) == ([0x5000, 0x6001], [4, 1])
        assert found.stores.tolist() == found.has_values.tolist() == [True, False]
        assert found.values.tolist() == [[77, 0], [0, 0]] and len(found) == 2


def test_chunks_are_the_rings_with_the_first_block_of_each(sample):
    with TraceReader(sample[0]) as trace:
        chunks = np.concatenate([frame.chunks() for frame in trace.frames()])
    assert chunks["sequence"].tolist() == list(range(len(pieces_of(sample[1]))))
    assert chunks["first_block"].tolist() == [0, *range(0, 8000, 700)]
