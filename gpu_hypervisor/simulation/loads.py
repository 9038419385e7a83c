"""Loads: who submits what when. All are made from a seed; the same seed gives the same load."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..scheduler import JobClass, Policy

SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class SimulatedJob:
    """A job of `units` groups that really take `unit_ns` each; `expected_ns` is what its submitter says."""

    at: int
    tenant: str
    kernel: str
    units: int
    unit_ns: int
    job_class: JobClass | None = None
    deadline_ns: int | None = None
    """From `at` on."""
    expected_ns: int | None = None


@dataclass(frozen=True)
class Load:
    """What a simulation runs: jobs in order of time, until `end_ns`.

    `is_closed`: a tenant submits its job again when it has ended, so that it always has one.
    """

    weights: Mapping[str, float]
    jobs: tuple[SimulatedJob, ...]
    devices: int
    end_ns: int
    policy: Policy = field(default_factory=Policy)
    is_closed: bool = False


def saturated(
    tenants: int = 100, devices: int = 10, seconds: float = 10.0, seed: int = 1, policy: Policy | None = None
) -> Load:
    """Every tenant always has a job; weights are 1 to 4, and no tenant's share is more than one device."""
    chance = random.Random(seed)
    weights = {f"guest{number:03}": float(chance.randint(1, 4)) for number in range(tenants)}
    jobs = []
    for name in weights:
        took_ns = int(chance.lognormvariate(math.log(50e6), 1.0))
        units = chance.randint(50, 5000)
        job_class = chance.choice((JobClass.INTERACTIVE, JobClass.THROUGHPUT, JobClass.BATCH))
        at = chance.randrange(1_000_000)
        jobs.append(SimulatedJob(at, name, f"of {name}", units, max(took_ns // units, 1), job_class))
    own = policy or Policy(caps={})
    return Load(weights, tuple(sorted(jobs, key=lambda job: job.at)), devices, int(seconds * SECOND), own, True)


def recorded_day(
    tenants: int = 1000, devices: int = 10, hours: float = 24.0, seed: int = 1, utilisation: float = 0.7
) -> Load:
    """A day of a shared cluster in miniature: few tenants submit most jobs, sizes have a long tail, days are busier than nights.

    Proportions are those that published traces of shared GPU clusters agree on: median jobs of seconds, means of minutes, one in
    twenty with a deadline. `utilisation` is the part of the devices' time that all jobs together take. Slices last seconds, as jobs do.
    """
    chance = random.Random(seed)
    end_ns = int(hours * 3600 * SECOND)
    weights = {f"tenant{number:04}": float(chance.choice((1, 1, 1, 2, 4))) for number in range(tenants)}
    names = list(weights)
    # Rank r submits in proportion to 1 / r.
    activity = [1 / (rank + 1) for rank in range(tenants)]
    kernels = {name: [(f"{name}/{k}", chance.lognormvariate(math.log(20e6), 0.8)) for k in range(3)] for name in names}
    wanted_ns, jobs = utilisation * devices * end_ns, []
    while wanted_ns > 0:
        (name,) = chance.choices(names, activity)
        at = _moment(chance, end_ns)
        kernel, unit_ns = chance.choice(kernels[name])
        took_ns = min(chance.lognormvariate(math.log(12e9), 1.9), 2 * 3600e9)
        units = max(int(took_ns / unit_ns), 1)
        # A unit of one kernel differs from launch to launch.
        real_ns = max(int(unit_ns * chance.uniform(0.85, 1.15)), 1)
        deadline, expected, job_class = None, None, None
        if took_ns < 60e9 and chance.random() < 0.05:
            job_class, expected = JobClass.REALTIME, int(units * unit_ns * 1.2)
            deadline = int(expected * chance.uniform(2, 20))
        elif chance.random() < 0.3:
            job_class = chance.choice((JobClass.INTERACTIVE, JobClass.THROUGHPUT, JobClass.BATCH))
        jobs.append(SimulatedJob(at, name, kernel, units, real_ns, job_class, deadline, expected))
        wanted_ns -= units * real_ns
    policy = Policy(
        slices_ns={name: SECOND * length for name, length in zip(JobClass, (10, 2, 10, 5), strict=True)},
        alone_ns=600 * SECOND,
        window_ns=600 * SECOND,
        switch_ns=SECOND // 10,
    )
    return Load(weights, tuple(sorted(jobs, key=lambda job: job.at)), devices, end_ns, policy)


def _moment(chance: random.Random, end_ns: int) -> int:
    """A moment, most often in the middle of the day: three times as often at noon as at midnight."""
    while True:
        at = chance.random()
        if chance.random() * 1.5 < 1 - 0.5 * math.cos(2 * math.pi * at):
            return int(at * end_ns)
