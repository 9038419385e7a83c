"""The device's timeline, read back by Perfetto's own protobuf classes."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypervisor_kernels import saxpy
from perfetto.protos.perfetto.trace import perfetto_trace_pb2

from gpu_hypervisor import Hypervisor
from gpu_hypervisor.engine import JobRow, JobState, SliceRow, Submitter
from gpu_hypervisor.scheduler import JobClass
from gpu_hypervisor.timeline import write_timeline
from qemu_bridge.errors import HostError


class Read:
    """A file of Perfetto: of each track (parent, name) its slices as (name, begin, end, depth), which must nest."""

    def __init__(self, path):
        trace = perfetto_trace_pb2.Trace()
        trace.ParseFromString(path.read_bytes())
        tracks = {p.track_descriptor.uuid: p.track_descriptor for p in trace.packet if p.HasField("track_descriptor")}
        assert trace.packet[0].sequence_flags == 1
        self.slices, around, last = {}, {}, {}
        for packet in trace.packet:
            if not packet.HasField("track_event"):
                continue
            own, uuid = packet.track_event, packet.track_event.track_uuid
            assert packet.timestamp >= last.get(uuid, 0)
            last[uuid] = packet.timestamp
            if own.type == own.TYPE_SLICE_BEGIN:
                around.setdefault(uuid, []).append((own.name, packet.timestamp))
                continue
            name, begin = around[uuid].pop()
            parent = tracks[tracks[uuid].parent_uuid].name if tracks[uuid].parent_uuid else ""
            found = self.slices.setdefault((parent, tracks[uuid].name), [])
            found.append((name, begin, packet.timestamp, len(around[uuid])))
        assert not any(around.values())


def job(number, submitted, ready, began, ended, state=JobState.DONE, processes=()):
    about = ("a", "k", "label", JobClass.BATCH, state)
    return JobRow(number, *about, submitted, ready, began, ended, 0.0, 0, "", 1, False, processes)


def part(number, began, ended):
    return SliceRow(number, "a", "k", JobClass.BATCH, "cpu", began, ended, ended - began)


def test_a_job_builds_waits_and_runs_by_turns(tmp_path):
    jobs = [job(1, 100, 110, 120, 160, processes=(Submitter(9, "sh"),)), job(2, 105, 106, 130, 0, JobState.RUNNING)]
    write_timeline(tmp_path / "t", jobs, [part(1, 120, 130), part(2, 130, 140), part(1, 140, 160)], 200)
    found = Read(tmp_path / "t").slices
    one, two = "job 1 k of sh (9)", "job 2 k of label"
    assert found["", "cpu"] == [(f"a: {one}", 20, 30, 0), (f"a: {two}", 30, 40, 0), (f"a: {one}", 40, 60, 0)]
    # The second job overlaps the first, so it is in a row of its own, of the same name.
    assert found["tenant a", "jobs"] == [
        *(("builds", 0, 10, 1), ("waits", 10, 20, 1), ("runs", 20, 30, 1), ("waits", 30, 40, 1), ("runs", 40, 60, 1)),
        (one, 0, 60, 0),
        *(("builds", 5, 6, 1), ("waits", 6, 30, 1), ("runs", 30, 40, 1), ("waits", 40, 100, 1)),
        (two, 5, 100, 0),
    ]


def test_jobs_that_do_not_overlap_share_a_row(tmp_path):
    write_timeline(tmp_path / "t", [job(1, 0, 1, 2, 3), job(2, 3, 4, 5, 6), job(3, 4, 4, 4, 5)], [])
    trace = perfetto_trace_pb2.Trace()
    trace.ParseFromString((tmp_path / "t").read_bytes())
    names = [packet.track_descriptor.name for packet in trace.packet if packet.HasField("track_descriptor")]
    assert names == ["tenant a", "jobs", "jobs"]


def test_real_jobs_give_a_timeline_whose_slices_nest(tmp_path):
    with Hypervisor() as hypervisor, hypervisor.open_tenant("a") as one, hypervisor.open_tenant("b") as two:
        x = np.arange(1000, dtype="f4")
        submitted = [tenant.submit(saxpy(x, x.copy())) for tenant in (one, two) for _ in range(5)]
        for each in submitted:
            each.result(120)
        write_timeline(tmp_path / "t", hypervisor.jobs(), hypervisor.activity.slices())
        slices = sum(each.slices for each in hypervisor.jobs())
    found = Read(tmp_path / "t").slices
    assert len(found["", "cpu"]) >= slices >= 10
    ends = [(begin, end) for _, begin, end, depth in found["", "cpu"] if not depth]
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(ends))
    for tenant in ("tenant a", "tenant b"):
        assert sum(depth == 0 for _, _, _, depth in found[tenant, "jobs"]) == 5


def test_nothing_is_a_file_too_and_one_that_cannot_be_written_is_told(tmp_path):
    write_timeline(tmp_path / "t", [], [])
    assert (tmp_path / "t").read_bytes() == b""
    with pytest.raises(HostError, match="give another name"):
        write_timeline(Path("/proc/nowhere/t"), [], [])
