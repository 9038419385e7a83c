"""The GPU that guests share, as a panel."""

import numpy as np
import pytest
from PIL import Image
from support import OUT

from gpu_hypervisor.engine import ClassStats, JobRow, JobState, SliceRow, Stats, Submitter, TenantUsage
from gpu_hypervisor.scheduler import JobClass
from viewer.app.panels import details, gpu
from viewer.sources.gpu import SHOWN_NS, GpuState, GpuWatch

pytestmark = pytest.mark.usefixtures("no_errors")
NOW = 100 * SHOWN_NS
MS = 1_000_000


def usage(name, weight, share):
    about = ((JobClass.BATCH,), 0, 3, 1, 17, 0, 2, 1.5, 2.1, 40.5, 20 << 20, 64 << 20, 3, 4711, 0)
    return TenantUsage(name, weight, weight / 100, share, *about)


def job(number, tenant, state, error=""):
    moments = (NOW - 500 * MS, NOW - 400 * MS, NOW - 300 * MS, 0)
    processes = (Submitter(300 + number, "gpu-submit"),)
    return JobRow(
        number, tenant, "saxpy%s", "me", JobClass.BATCH, state, *moments, 0.0123, 4, error, 7, True, processes
    )


@pytest.fixture
def found():
    """Three guests by 60, 30 and 10, each of which had the device in its turn."""
    tenants = (usage("alpine-a", 60, 0.59), usage("alpine-b", 30, 0.31), usage("alpine-c", 10, 0.10))
    slices, at, turn = [], NOW - SHOWN_NS, 0
    while at < NOW:
        name, length = [("alpine-a", 600), ("alpine-b", 300), ("alpine-c", 100)][turn % 3]
        slices.append(SliceRow(1, name, "saxpy", JobClass.BATCH, "device", at, at + length * MS, length * MS))
        at, turn = at + length * MS, turn + 1
    classes = tuple(ClassStats(name, 0.25, 1) for name in JobClass)
    numbers = (3600.0, 3000.0, 5000, 3, 120.0, 300.0, 60 << 20, 1 << 30, 2, 2)
    stats = Stats("cpu: 2 cores, AVX-512", *numbers, tenants, classes)
    jobs = (job(1, "alpine-a", JobState.DONE), job(2, "alpine-b", JobState.FAILED, "lane 3: index 5 outside y[5]"))
    return GpuState(stats, (*jobs, job(3, "alpine-c", JobState.RUNNING)), tuple(slices), NOW)


def show(paint, layout, state):
    state.tab = "GPU"
    return paint(lambda: details.draw(state, layout))


def test_without_a_service_the_panel_says_how_to_start_one(paint, layout, state):
    assert show(paint, layout, state).max() > 0
    state.gpu = GpuWatch(lambda: None)
    empty = show(paint, layout, state)
    Image.fromarray(empty.astype(np.uint8)).save(OUT / "gpu-none.png")
    assert empty[60:250, 700:].max() > 150
    state.gpu.problem = "no GPU service at /run/gpu.sock"
    assert np.abs(show(paint, layout, state) - empty).max() > 60


def test_tenants_their_turns_and_their_jobs_are_shown(paint, layout, state, found):
    state.gpu = GpuWatch(lambda: None)
    empty = show(paint, layout, state)
    state.gpu.state = found
    full = show(paint, layout, state)
    Image.fromarray(full.astype(np.uint8)).save(OUT / "gpu.png")
    assert (np.abs(full - empty)[60:, 700:] > 60).sum() > 5000
    for name in ("alpine-a", "alpine-b", "alpine-c"):
        near = np.abs(full - np.array(gpu.tint_of(found, name))).max(axis=2) < 12
        assert near.sum() > 100, name


def test_the_strips_have_the_shares_of_the_time_that_shows(found):
    parts = gpu.strips(found)
    had = {name: sum(end - begin for begin, end in spans) for name, spans in parts.items()}
    assert had == pytest.approx({"alpine-a": 0.6, "alpine-b": 0.3, "alpine-c": 0.1}, abs=1e-6)
    assert all(0 <= begin < end <= 1 for spans in parts.values() for begin, end in spans)


def test_cells_are_those_of_the_records(found):
    assert gpu.tenant_cells(found.stats.tenants[0]) == (
        *("alpine-a", "batch", "60.0%", "59.0%", "3", "1", "2.1 ms", "40.5 ms", "21 MB of 67.1 MB", "17", "2"),
    )
    assert gpu.job_cells(found.jobs[0]) == (
        *("1", "alpine-a", "saxpy%s", "gpu-submit (301)", "done", "100 ms", "12.3 ms"),
    )
    assert gpu.tint_of(found, "gone") == gpu.QUIET
