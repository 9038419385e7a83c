"""Buffers that others change while a kernel runs: an index that was checked is the index that is used.

The compiler may take a value twice from memory that no other part of the program writes to: it cannot know of other lanes, processes and guests.
"""

import re
import threading
import time

import numpy as np
import pytest
from lane_kernels import module

from pixel_cpu.backends.lane_c import compile_kernel
from pixel_cpu.backends.lane_c.plan import plan
from pixel_cpu.backends.lane_c.source import part
from pixel_cpu.backends.launch import Launch

INDEXES = 20
"""Of a kernel that holds them all at once, more than there are registers."""
BOUNDS = ("trap", "clamp")


def pressing(kind, bound, *, is_linear, is_store=False):
    """A kernel that reads many indexes, and then uses them."""
    lines = [
        f"kernel main() group 32 {{\n buffer @x: {kind} read\n buffer @y: u32\n buffer @z: u32\n %i = global_id : u32"
    ]
    for n in range(INDEXES):
        lines.append(f"%c{n} = const {n * 64} : u32")
        lines.append(f"%j{n} = add %i, %c{n} : u32" if is_linear else f"%j{n} = const {n * 64} : u32")
    lines += [f"%a{n} = load @x %j{n} trap : {kind}" for n in range(INDEXES)]
    if is_store:
        lines += [f"store @y %a{n}, %c{n} {bound}" for n in range(INDEXES)]
    else:
        lines += [f"%b{n} = load @y %a{n} {bound} : u32" for n in range(INDEXES)]
        lines += ["%s0 = const 0 : u32", *(f"%s{n + 1} = xor %s{n}, %b{n} : u32" for n in range(INDEXES))]
        lines.append(f"store @z %i, %s{INDEXES} trap")
    return module("\n".join([*lines, "return", "}"]))


@pytest.mark.parametrize("scalar", [True, False], ids=["scalar", "lanes"])
@pytest.mark.parametrize("kind", ["i32", "u64"])
def test_no_word_of_c_reads_or_writes_a_buffer_as_if_it_were_the_kernel_s_own(kind, scalar):
    for is_linear in (True, False):
        for is_store in (True, False):
            kernel = pressing(kind, "clamp", is_linear=is_linear, is_store=is_store)
            plans = plan(kernel.kernels["main"], 8, 16, scalar=scalar)
            own = part(kernel.kernels["main"], plans).text
            # Its own are what it spilled (x, o, t, y) and what it was told of a group (pm, wg).
            plain = [line for line in own.splitlines() if re.search(r"gb_(at|put)\(\w+, [^;]*\b(p\d+|q)\b", line)]
            assert not plain
            assert re.search(r"gb_(get|gather)", own) and re.search(r"gb_set", own)


@pytest.mark.parametrize("scalar", [True, False], ids=["scalar", "lanes"])
@pytest.mark.parametrize("bound", BOUNDS)
def test_indexes_that_change_while_a_kernel_runs_reach_nothing_outside(bound, scalar):
    size, lanes = 1 << 10, 1 << 9
    memory = np.full(1 << 16, 7, np.uint32)
    y = memory[1 << 15 : (1 << 15) + size]
    x, z = np.zeros(INDEXES * 64 + lanes, np.uint64), np.zeros(lanes, np.uint32)
    outside = np.uint64(size + 100)
    kernel = compile_kernel(pressing("u64", bound, is_linear=True, is_store=True), "main", scalar=scalar, level="-O1")
    is_over = threading.Event()

    def change():
        while not is_over.is_set():
            x[:] = outside
            x[:] = 3

    thread = threading.Thread(target=change)
    thread.start()
    until, traps = time.monotonic() + 0.5, 0
    try:
        while time.monotonic() < until:
            traps += kernel.run(Launch(lanes, 32, {}, {"x": x, "y": y, "z": z})).traps
    finally:
        is_over.set()
        thread.join()
    y[:] = 7
    assert (memory == 7).all()
    assert bound == "clamp" or traps
