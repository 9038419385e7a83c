"""Which slices give way to which jobs."""

import pytest

from gpu_hypervisor.scheduler import JobClass
from gpu_hypervisor.scheduler.fair import Flow
from gpu_hypervisor.scheduler.jobs import Job
from gpu_hypervisor.scheduler.running import Running

R, INTERACTIVE, T, B = JobClass


def job(job_class, deadline=None):
    return Job(1, "a", "k", 1, job_class, False, 0, deadline, None)


@pytest.mark.parametrize(
    ("runs", "comes", "yields"),
    [
        (job(B), job(R, 50), True),
        (job(R, 60), job(R, 50), True),
        (job(R, 50), job(R, 50), False),
        (job(R, 50), job(INTERACTIVE), False),
        (job(B), job(INTERACTIVE), True),
        (job(T), job(INTERACTIVE), True),
        (job(INTERACTIVE), job(INTERACTIVE), False),
        (job(B), job(T), False),
    ],
)
def test_a_slice_gives_way_by_class_and_deadline(runs, comes, yields):
    running = Running("gpu", runs, Flow("a", 1.0, tag=10.0), runs.job_class, 0, 10, True, False)
    assert running.yields_to(comes, Flow("b", 1.0, tag=0.0), 5) is yields


def test_a_slice_does_not_give_way_to_who_had_more():
    running = Running("gpu", job(B), Flow("a", 2.0, tag=10.0), B, 0, 10, True, False)
    # Its tenant's tag was 5 before the slice; after 6 ns it is 8.
    assert running.claim(6) == 8
    assert running.yields_to(job(INTERACTIVE), Flow("b", 1.0, tag=8.0), 6)
    assert not running.yields_to(job(INTERACTIVE), Flow("b", 1.0, tag=9.0), 6)


def test_a_slice_that_is_long_because_nobody_waited_gives_way_to_all_but_those_behind_it():
    flow = Flow("a", 1.0)
    running = Running("gpu", job(B), flow, B, 0, 0, False, True)
    assert running.yields_to(job(B), Flow("b", 1.0, tag=1e9), 0)
    assert running.yields_to(job(T), flow, 0) and not running.yields_to(job(B), flow, 0)
