"""Arrays in shared memory are found by address, and their pages go with the last view."""

import gc
import os

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pixel_cpu.runtime.buffers import BufferPool, Ledger


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5000)), max_size=40))
def test_the_ledger_equals_what_is_alive(steps):
    ledger, gone = Ledger(1 << 30), []
    pool = BufferPool(ledger, gone.append)
    alive = []
    for is_new, number in steps:
        if is_new or not alive:
            alive.append(pool.new(np.dtype("u1"), number))
        else:
            del alive[number % len(alive)]
        assert ledger.buffers == len(alive) and ledger.bytes == sum(max(len(array), 1) for array in alive)
        for number in range(len(alive)):  # no name for an array, which would keep it
            if len(alive[number]) > 3:
                buffer, offset = pool.find(alive[number][2:])
                assert offset == 2 and buffer.size == len(alive[number])
    assert len(gone) == len(set(gone))


def test_memory_from_elsewhere_is_not_found():
    pool = BufferPool(Ledger(1 << 20), lambda number: None)
    ours = pool.new(np.dtype("f4"), 100)
    assert pool.find(np.zeros(100, "f4")) is None
    assert pool.find(np.frombuffer(ours, "u1")) is not None


def test_pages_and_descriptors_go_with_the_last_view():
    pool = BufferPool(Ledger(1 << 30), lambda number: None)
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(100):
        pool.new(np.dtype("f4"), 1 << 16)[:] = 1
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before
