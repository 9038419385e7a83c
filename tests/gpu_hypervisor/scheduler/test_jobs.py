"""Reasons of a job."""

from gpu_hypervisor.scheduler import JobClass
from gpu_hypervisor.scheduler.jobs import Job, Reasons


def test_the_first_and_the_newest_reasons_are_kept_with_their_moments():
    reasons = Reasons(3)
    assert reasons.texts() == ()
    for number in range(10):
        reasons.add(number * 1_000_000, "reason {} of {}", number, "ten")
    assert reasons.texts() == (
        "+0.000 ms: reason 0 of ten",
        "(of the 7 reasons that follow, these are the newest)",
        "+8.000 ms: reason 8 of ten",
        "+9.000 ms: reason 9 of ten",
    )


def test_what_was_promised_is_used_up():
    job = Job(1, "a", "k", 10, JobClass.REALTIME, False, 0, 100, 50.0)
    assert job.remaining_ns == 50
    job.used_ns = 60
    assert job.remaining_ns == 0
