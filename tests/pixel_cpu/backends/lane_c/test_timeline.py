"""What threads record of a launch."""

from __future__ import annotations

import ctypes
import itertools

import numpy as np
import pytest
from lane_kernels import COLLATZ, REVERSE, SAXPY, module

from pixel_cpu.backends.lane_c import compile_kernel
from pixel_cpu.backends.lane_c.compiler import load
from pixel_cpu.backends.lane_c.kernel import runtime
from pixel_cpu.backends.lane_c.source import FOLDER
from pixel_cpu.backends.lane_c.timeline import CAPACITY, ROW, TimelineRecord
from pixel_cpu.backends.launch import Launch

LANES = 200_000
"""Enough for all threads."""


def record(text, lanes, group, scalars=None, **buffers):
    """The outcome of a launch that was recorded; its buffers are those of one that was not."""
    plain = {name: array.copy() for name, array in buffers.items()}
    compile_kernel(module(text), "main", level="-O1").run(Launch(lanes, group, scalars or {}, plain))
    launch = Launch(lanes, group, scalars or {}, buffers)
    outcome = compile_kernel(module(text), "main", timeline=True, level="-O1").run(launch)
    for name, array in buffers.items():
        assert (array == plain[name]).all()
    return outcome


def runs(timeline):
    """The lanes of the spans that threads ran without a break, in order."""
    return sorted(span.lanes for span in timeline.spans if " to " not in span.name)


def test_rows_are_those_of_theruntime():
    text = (FOLDER / "runtime.c").read_text()
    for record, names, size in (
        ("gb_row", list(ROW.fields), ROW.itemsize),
        ("gb_timeline", [name for name, _ in TimelineRecord._fields_], ctypes.sizeof(TimelineRecord)),
    ):
        places = ", ".join(f"__builtin_offsetof({record}, {name})" for name in names)
        library = load(f"{text}\nconst uint64_t places[] = {{{places}, sizeof({record})}};\n", "-O1")
        found = list((ctypes.c_uint64 * (len(names) + 1)).in_dll(library, "places"))
        own = [ROW.fields[n][1] if record == "gb_row" else getattr(TimelineRecord, n).offset for n in names]
        assert found == [*own, size]


def test_every_lane_is_in_one_span_and_samples_add_up():
    outcome = record(COLLATZ, LANES, 64, y=np.zeros(LANES, "u4"))
    timeline = outcome.timeline
    found = runs(timeline)
    assert found[0][0] == 0 and found[-1][1] == LANES
    assert all(one[1] == other[0] for one, other in itertools.pairwise(found))
    threads = {span.track for span in timeline.spans}
    assert "thread 0" in threads and len(threads) <= runtime().gb_threads()
    for track in threads:
        own = sorted((s for s in timeline.spans if s.track == track), key=lambda span: span.begin_ns)
        assert all(one.end_ns <= other.begin_ns for one, other in itertools.pairwise(own))
    assert all(timeline.begin_ns <= s.begin_ns <= s.end_ns <= timeline.end_ns for s in timeline.spans)
    times = [sample.time_ns for sample in timeline.samples]
    assert times == sorted(times) and len(times) == len(timeline.spans)
    assert max(sample.counters.instructions for sample in timeline.samples) == outcome.counters.instructions
    assert timeline.kernel == "main" and timeline.dropped == 0


def test_of_each_slice_the_first_group_shows_what_lies_between_its_barriers():
    outcome = record(REVERSE, 6400, 64, x=np.arange(6400, dtype="u4"), y=np.zeros(6400, "u4"))
    groups = {span.lanes: span for span in outcome.timeline.spans if " to " not in span.name}
    phases = [span for span in outcome.timeline.spans if " to " in span.name]
    assert len(phases) >= 2 * len(groups)
    for span in groups.values():
        own = [phase for phase in phases if phase.lanes[0] == span.lanes[0]]
        own.sort(key=lambda phase: phase.begin_ns)
        assert own[-1].name.endswith("to its end") and all(phase.name.endswith("to a barrier") for phase in own[:-1])
        assert span.begin_ns <= own[0].begin_ns and own[-1].end_ns <= span.end_ns
        assert all(one.end_ns <= other.begin_ns for one, other in itertools.pairwise(own))


def test_traps_are_in_the_sample_of_the_slice_that_had_them():
    outcome = record(SAXPY, 1000, 32, {"a": 2.0}, x=np.ones(600, "f4"), y=np.ones(1000, "f4"))
    assert outcome.traps == 400 and outcome.timeline.samples[-1].traps == 400


PRINTS = """
kernel main() group 8 {
  %i = global_id : u32
  print "lane" %i
  return
}
"""


@pytest.mark.parametrize("lanes", [100, 60_000])
def test_a_kernel_that_prints_is_recorded_in_order_and_within_bounds(lanes):
    outcome = record(PRINTS, lanes, 8)
    found = [span.lanes for span in outcome.timeline.spans]
    assert found == sorted(found) and found[-1][1] == lanes and lanes // 64 <= len(found) <= CAPACITY // 4 + 1
    assert {span.track for span in outcome.timeline.spans} == {"thread 0"}


def test_spans_beyond_what_is_kept_are_counted():
    text = """
kernel main() group 8 {
  %i = local_id : u32
  %zero = const 0 : u32
  %one = const 1 : u32
  %n = const 20000 : u32
  loop ^L (%k: u32 = %zero) {
    barrier
    %k2 = add %k, %one : u32
    %more = lt %k2, %n : bool
    if %more { yield } else { break ^L }
    continue ^L %k2
  }
  return
}
"""
    timeline = record(text, 8, 8).timeline
    assert timeline.dropped == 20_002 - CAPACITY and len(timeline.spans) == CAPACITY
