"""The GPU hypervisor: shares, switches, deadlines, limits and neighbours. Names such as IS-003 are those of GPU-Virt-Bench.

Tenants are those of one process, so that what is measured is the hypervisor; `gpu_channel` measures from inside of guests.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gpu_hypervisor import Hypervisor, Job, JobClass, Submission, Tenant
from gpu_hypervisor.errors import QuotaError
from gpu_hypervisor.simulation.loads import saturated
from gpu_hypervisor.simulation.world import World
from pixel_cpu.kernels import source
from pixel_cpu.runtime import devices

from .figures import Figure

WEIGHTS = (60, 30, 10)
SHARE_SECONDS = 10.0
"""Device time that shares are measured over."""
LANES = 1 << 21
QUEUES = 1000
DEADLINE_S = 0.1
_HASH = (Path(__file__).parent / "kernels" / "hash.ir").read_text()
_SAXPY = source("saxpy")
_LIMIT = 10_000_019
"""Bytes of a quota that no page or size of a buffer divides."""
_READY_S = 240.0


def measure(rounds: int) -> list[Figure]:
    """Shares and switches of saturating tenants, REALTIME beside BATCH, limits, a neighbour's cost, decisions, an empty kernel."""
    with Hypervisor("cpu") as hypervisor:
        figures = [
            *_measure_shares(hypervisor, "lane C", 0.3),
            _measure_realtime(hypervisor, max(rounds, 3)),
            *_measure_limits(hypervisor),
            _measure_neighbour(hypervisor, max(rounds, 3)),
            *_measure_empty(hypervisor),
        ]
    (adapter,) = devices("wgpu")
    if not adapter.reason:
        with Hypervisor("wgpu") as hypervisor:
            figures += _measure_shares(hypervisor, "wgpu", 1.0)
    return [*figures, *_measure_decisions()]


def _long(seconds: float = 1e6, job_class: JobClass = JobClass.THROUGHPUT, rounds: int = 20_000) -> Submission:
    """A job of minutes that can be cut between any two groups."""
    arguments = {"n": rounds, "y": np.zeros(LANES, np.uint32)}
    return Submission(_HASH, "ir", lanes=LANES, arguments=arguments, job_class=job_class, seconds=seconds)


def _measure_shares(hypervisor: Hypervisor, device: str, switch_ms: float) -> Iterator[Figure]:
    tenants = [hypervisor.open_tenant(f"of {weight}", weight=weight) for weight in WEIGHTS]
    try:
        jobs = [tenant.submit(_long()) for tenant in tenants]
        _wait(lambda: all(job.slices > 2 for job in jobs), jobs)
        before = [tenant.used_ns for tenant in tenants]
        stats = hypervisor.stats()
        _wait(lambda: sum(t.used_ns for t in tenants) - sum(before) > SHARE_SECONDS * 1e9, jobs)
        used = [tenant.used_ns - was for tenant, was in zip(tenants, before, strict=True)]
        after = hypervisor.stats()
    finally:
        for tenant in tenants:
            tenant.close()
    shares = [each / sum(used) for each in used]
    asked = [weight / sum(WEIGHTS) for weight in WEIGHTS]
    error = max(abs(got / want - 1) for got, want in zip(shares, asked, strict=True))
    by_weight = [each / weight for each, weight in zip(used, WEIGHTS, strict=True)]
    jain = sum(by_weight) ** 2 / (len(by_weight) * sum(each**2 for each in by_weight))
    detail = f"{', '.join(f'{share:.1%}' for share in shares)} of {sum(used) / 1e9:.0f} s, {after.slices - stats.slices} slices"
    yield Figure(f"gpu: share error on {device} (IS-003)", 100 * error, "%", "<= 3", detail)
    yield Figure(f"gpu: Jain's index by weight on {device} (IS-008)", jain, "", ">= 0.99")
    text = f"p50 {after.switch_p50_us:.0f} us, load {os.getloadavg()[0]:.0f}"
    yield Figure(f"gpu: switch on {device}, p99 (SCHED-001)", after.switch_p99_us / 1e3, "ms", f"<= {switch_ms}", text)


def _measure_realtime(hypervisor: Hypervisor, rounds: int) -> Figure:
    """Short jobs with deadlines alone and beside a BATCH job that saturates the device, by turns."""
    with hypervisor.open_tenant("realtime") as tenant, hypervisor.open_tenant("batch") as batch:
        x, y = np.ones(1024, np.float32), np.zeros(1024, np.float32)
        unhurried = Submission(_SAXPY, lanes=len(x), arguments={"a": 2.0, "x": x, "y": y})
        short = replace(unhurried, deadline_s=DEADLINE_S, expected_s=0.0005)
        tenant.submit(unhurried).result(_READY_S)
        alone: list[float] = []
        beside: list[float] = []
        late = 0
        for _ in range(rounds):
            alone += _latencies(tenant, short)[0]
            job = batch.submit(_long(job_class=JobClass.BATCH))
            _wait(lambda own=job: own.slices > 0 or own.state == "running", [job])  # type: ignore[misc]
            found, missed = _latencies(tenant, short)
            beside += found
            late += missed
            job.cancel()
            job.wait(_READY_S)
    one, other = (float(np.percentile(each, 99)) for each in (alone, beside))
    detail = f"{other:.2f} against {one:.2f} ms, p50 {statistics.median(beside):.2f} against {statistics.median(alone):.2f} ms, {late} of {len(beside)} late"
    return Figure("gpu: REALTIME p99 beside BATCH / alone (IS-007)", other / one, "x", "<= 2", detail)


def _latencies(tenant: Tenant, submission: Submission, count: int = 100) -> tuple[list[float], int]:
    """Milliseconds from submission to end, and jobs that were late."""
    found = []
    for _ in range(count):
        job = tenant.submit(submission).result(_READY_S)
        found.append((job.ended_ns - job.submitted_ns) / 1e6)
        time.sleep(0.001)  # so that what runs beside has begun again
    return found, sum(each > DEADLINE_S * 1e3 for each in found)


def _measure_limits(hypervisor: Hypervisor) -> Iterator[Figure]:
    """What a tenant gets of its quota before it is refused, and what a refusal takes."""
    with hypervisor.open_tenant("memory", memory_bytes=_LIMIT) as tenant:
        got, size, refusals = 0, 1 << 20, []
        while size:
            began = time.perf_counter()
            try:
                tenant.allocate(size)
            except QuotaError:
                refusals.append(time.perf_counter() - began)
                size //= 2
            else:
                got += size
    yield Figure(
        "gpu: accuracy of a memory limit (IS-001)", 100 * got / _LIMIT, "%", ">= 99.9", f"{got} of {_LIMIT} bytes"
    )
    yield Figure("gpu: refusal of an allocation (IS-002)", 1e6 * statistics.median(refusals), "us", "", "median")


def _measure_neighbour(hypervisor: Hypervisor, rounds: int) -> Figure:
    """Lanes that a tenant runs in a second of its own device time, alone and beside another one: what caches and switches cost it."""
    costs = []
    with hypervisor.open_tenant("own") as own, hypervisor.open_tenant("neighbour") as neighbour:
        for _ in range(rounds):
            job = own.submit(_long(rounds=40_000))
            _wait(lambda own=job: own.slices > 0 or own.state == "running", [job])  # type: ignore[misc]
            other = neighbour.submit(_long())
            _wait(lambda own=other: own.slices > 1, [job, other])  # type: ignore[misc]
            beside = _rate(job)
            other.cancel()
            other.wait(_READY_S)
            job.cancel()
            job.wait(_READY_S)
            job = own.submit(_long(rounds=40_000))
            alone = _rate(job)
            job.cancel()
            job.wait(_READY_S)
            costs.append(1 - beside / alone)
    spread = f"{100 * min(costs):.1f} to {100 * max(costs):.1f} %"
    return Figure(
        "gpu: cost of a neighbour beyond its share (IS-009)", 100 * statistics.median(costs), "%", "<= 5", spread
    )


def _rate(job: Job, seconds: float = 0.7) -> float:
    """Lanes of a job that run in a second of its device time, from the end of a slice to the end of a later one."""
    first, began = _after_slice(job)
    while (found := _after_slice(job))[1] - began < seconds:
        pass
    return (found[0] - first) / (found[1] - began)


def _after_slice(job: Job) -> tuple[int, float]:
    """The next lane and the device time of a job when a slice has ended."""
    slices = job.slices
    until = time.monotonic() + _READY_S
    while job.slices == slices and time.monotonic() < until:
        time.sleep(0.0002)
    time.sleep(0.001)  # what it took is known after what it did
    if job.next_lane is None:
        raise RuntimeError("the job has ended; give it more work")
    return job.next_lane, job.device_seconds


def _measure_empty(hypervisor: Hypervisor) -> Iterator[Figure]:
    """From the submission of a kernel that does nothing to its result, in the hypervisor's own process."""
    empty = Submission("kernel empty() group 32 {\n  return\n}\n", "ir", lanes=1)
    with hypervisor.open_tenant("empty") as tenant:
        tenant.submit(empty).result(_READY_S)
        took = []
        for _ in range(500):
            job = tenant.submit(empty).result(_READY_S)
            took.append((job.ended_ns - job.submitted_ns) / 1e6)
    detail = f"p99 {float(np.percentile(took, 99)):.2f} ms"
    yield Figure("gpu: empty kernel, host part, p50 (OH-001)", statistics.median(took), "ms", "<= 0.2", detail)


def _measure_decisions() -> Iterator[Figure]:
    """Events of the scheduler with so many queues that always have jobs."""
    for queues in (10, QUEUES):
        report = World(saturated(queues, 1, 10.0)).run()
        detail = f"p99 {report.decision_us(0.99):.0f} us, {report.slices} slices"
        target = "<= 20" if queues == QUEUES else ""
        yield Figure(f"gpu: decision at {queues} queues, p50", report.decision_us(), "us", target, detail)


def _wait(condition: Callable[[], object], jobs: Sequence[Job]) -> None:
    """Wait until something holds; raises what ended one of the jobs."""
    until = time.monotonic() + _READY_S
    while not condition():
        for job in jobs:
            if job.state.has_ended:
                job.result(0)
                raise RuntimeError("a job ended that should last")
        if time.monotonic() > until:
            raise RuntimeError("nothing came of it")
        time.sleep(0.002)
