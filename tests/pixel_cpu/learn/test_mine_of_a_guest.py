"""Real loops of a guest's checksums: lifted, and each round compared with registers and memory that QEMU's trace recorded.

A trace has general registers at the head of each round, and address and value of each load and store. It has no flags and no vector registers,
so the loops here are chosen among those that need none at their head.
"""

from __future__ import annotations

import numpy as np
import pytest
from support import recording

from pixel_cpu.backends import reference
from pixel_cpu.backends.launch import Launch
from pixel_cpu.frontends.x86.lift import FIRST_COLUMN
from pixel_cpu.frontends.x86.registers import GENERAL
from pixel_cpu.learn.mine import find_loops
from qemu_bridge.trace.analysis.mining import mine
from qemu_bridge.trace.file.reader import TraceReader

pytestmark = [pytest.mark.guest, pytest.mark.long, pytest.mark.timeout(900)]

WORK = "cd /tmp; cat /bin/busybox > sums; sha256sum sums; md5sum sums; cksum sums; rm sums"
BASES = ("fs_base", "gs_base")


class RecordedMemory:
    """The bytes that a trace saw, by linear address, as the reference executor reads and writes a buffer of bytes."""

    dtype = np.dtype(np.uint8)

    def __init__(self):
        self.bytes, self.stored = {}, {}

    def __len__(self):
        return 1 << 47

    def __getitem__(self, places):
        return np.array([self.stored.get(at, self.bytes.get(at, 0)) for at in places.tolist()], np.uint8)

    def __setitem__(self, places, values):
        self.stored.update(zip(places.tolist(), values.tolist(), strict=True))


@pytest.fixture(scope="module")
def fixed_addresses(machine):
    """Each run of a program has its code at the same addresses."""
    before = machine.exec("cat /proc/sys/kernel/randomize_va_space").decode().strip()
    machine.exec("echo 0 > /proc/sys/kernel/randomize_va_space")
    yield
    machine.exec(f"echo {before} > /proc/sys/kernel/randomize_va_space")


@pytest.fixture(scope="module")
def loops(machine, fixed_addresses, tmp_path_factory):
    """The hottest loops of checksums."""
    path = tmp_path_factory.mktemp("loops") / "work.gbt"
    with recording(machine, path):
        machine.exec(WORK, timeout_s=300)
    with mine(path) as found:
        return list(find_loops(found, count=12))


def test_most_of_the_work_is_in_loops_that_are_lifted(loops):
    assert sum(loop.share for loop in loops if not loop.refused) > 0.6
    hot = [loop for loop in loops if loop.ring == 3 and loop.share > 0.05]
    assert hot and all(loop.lifted is not None and not loop.left_out for loop in hot)


def test_rounds_end_as_qemu_recorded_them(machine, loops, tmp_path):
    recorded = {*GENERAL, *BASES}
    wanted = [
        loop for loop in loops if loop.lifted and loop.ring == 3 and loop.share > 0.02 and set(loop.live_in) <= recorded
    ]
    assert len(wanted) >= 2
    for number, loop in enumerate(wanted):
        path = tmp_path / f"rounds{number}.gbt"
        place = f"{loop.head:#x}"
        with recording(machine, path, "--values", "--regs", place, "--start-at", place, "--insns", "200000"):
            machine.exec(WORK, timeout_s=300)
        assert compare_rounds(path, loop) > 20, hex(loop.head)


def compare_rounds(path, loop):
    """How many rounds were compared, from one visit of the head to the next."""
    compared = 0
    with TraceReader(path) as trace:
        for frame in trace.frames():
            registers, accesses, rings = frame.registers(), frame.memory(), frame.dictionary.rings[frame.numbers()]
            first = frame.blocks().first_block
            for one in range(min(len(registers) - 1, 80)):
                begin, end = int(registers.blocks[one]), int(registers.blocks[one + 1])
                if (rings[begin - first : end - first] != 3).any():
                    continue  # An interrupt came between.
                inside = (accesses.blocks >= begin) & (accesses.blocks < end)
                compared += compare_round(loop, registers, one, accesses, np.flatnonzero(inside))
    return compared


def compare_round(loop, registers, one, accesses, which):
    memory, stored = RecordedMemory(), {}
    for index in which.tolist():
        at, size = int(accesses.addresses[index]), int(accesses.sizes[index])
        value = int(accesses.values[index, 0]) | int(accesses.values[index, 1]) << 64
        for place, byte in enumerate(value.to_bytes(16, "little")[:size], at):
            if accesses.stores[index]:
                stored[place] = byte
            elif place not in stored:
                memory.bytes[place] = byte
    columns = loop.lifted.columns
    start = {name: int(registers.column(name)[one]) for name in (*GENERAL, *BASES)}
    state = np.array([1, 0, *(start.get(name, 0) for name in columns)], np.uint64)
    launch = Launch(1, 32, {"head": loop.head}, {"memory": memory, "state": state})
    outcome = reference.compile_kernel(loop.lifted.module, "batch").run(launch)
    assert outcome.trap is None
    if int(state[1]) != loop.head:
        return 0  # This was the last time through.
    found = dict(zip(columns, state[FIRST_COLUMN:].tolist(), strict=True))
    for name in loop.live_in:
        assert found[name] == int(registers.column(name)[one + 1]), f"{name} after a round of {loop.head:#x}"
    # A byte that is stored twice counts as it was left.
    assert memory.stored == stored
    return 1
