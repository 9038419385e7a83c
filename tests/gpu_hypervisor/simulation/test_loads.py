"""Loads from seeds."""

from gpu_hypervisor.scheduler import JobClass
from gpu_hypervisor.simulation import recorded_day, saturated


def test_the_same_seed_gives_the_same_load_and_another_one_another():
    assert saturated(10, 2, seed=3) == saturated(10, 2, seed=3) != saturated(10, 2, seed=4)
    assert recorded_day(20, 2, 1, seed=3) == recorded_day(20, 2, 1, seed=3) != recorded_day(20, 2, 1, seed=4)


def test_a_day_asks_for_the_utilisation_that_was_stated_and_is_busier_at_noon():
    load = recorded_day(100, 4, 24, utilisation=0.5)
    wanted = sum(job.units * job.unit_ns for job in load.jobs)
    assert 0.5 <= wanted / (4 * load.end_ns) < 0.55
    quarter = load.end_ns / 4
    noon = sum(1.5 * quarter <= job.at < 2.5 * quarter for job in load.jobs)
    night = sum(job.at < quarter / 2 or job.at >= 3.5 * quarter for job in load.jobs)
    assert noon > 2 * night
    urgent = [job for job in load.jobs if job.job_class is JobClass.REALTIME]
    assert urgent and all(job.deadline_ns > job.expected_ns for job in urgent)
    assert [job.at for job in load.jobs] == sorted(job.at for job in load.jobs)
