"""What a launch on a GPU records."""

from __future__ import annotations

import itertools

import numpy as np

from pixel_cpu.backends.launch import Launch
from pixel_cpu.backends.wgsl import executable
from pixel_cpu.backends.wgsl.executable import compile_kernel
from pixel_cpu.backends.wgsl.timeline import Pass, device_offset
from pixel_cpu.ir.text import read
from pixel_cpu.ir.verifier import verify

ADD = """
kernel add() group 32 {
  buffer @x: u32
  %i = global_id : u32
  %v = load @x %i trap : u32
  %w = add %v, %i : u32
  store @x %i, %w trap
  return
}
"""


def test_copies_dispatches_and_passes_are_recorded_where_they_were(monkeypatch):
    monkeypatch.setattr(executable, "PART_LANES", 4096)
    program = compile_kernel(verify(read(ADD)), "add", timeline=True)
    x = np.arange(10_000, dtype="u4")
    first = program.run(Launch(10_000, 32, {}, {"x": x})).timeline
    again = program.run(Launch(10_000, 32, {}, {"x": x})).timeline
    assert (x == np.arange(10_000) * 3).all()
    names = ["copy in", "dispatch groups 0-127", "dispatch groups 128-255", "dispatch groups 256-312", "copy out"]
    assert [span.name for span in first.spans if span.track == "queue"] == ["build", *names]
    assert [span.name for span in again.spans if span.track == "queue"] == names
    queue = [span for span in again.spans if span.track == "queue"]
    assert all(one.end_ns <= other.begin_ns for one, other in itertools.pairwise(queue))
    assert queue[3].lanes == (8192, 10_000)
    passes = [span for span in again.spans if span.track == "GPU"]
    if program.device.has_timestamps:
        assert [span.lanes for span in passes] == [span.lanes for span in queue[1:4]]
        for own, around in zip(passes, queue[1:4], strict=True):
            assert around.begin_ns <= own.begin_ns <= own.end_ns <= around.end_ns
    else:
        assert passes == []


def test_a_clock_of_the_device_is_set_so_that_each_pass_lies_within_its_dispatch():
    passes = [Pass(0, 1, 100, 200, (5040, 5100)), Pass(1, 2, 200, 290, (5150, 5160))]
    offset = device_offset(passes)
    assert offset == -4920  # between -4940 and -4900 by the first one, -4950 and -4870 by the second
