"""Many tenants on many devices, through the scheduler that serves real ones."""

import pytest

from gpu_hypervisor.scheduler import Policy
from gpu_hypervisor.simulation import Load, SimulatedJob, World, recorded_day, run, saturated

MS = 1_000_000


def test_a_hundred_guests_on_ten_devices_have_their_shares():
    report = run(saturated(100, 10, seconds=4.0))
    assert report.utilisation == pytest.approx(1, abs=0.01) and report.jain > 0.99 and report.share_error < 0.1


def test_hours_of_many_tenants_keep_every_promise():
    report = run(recorded_day(300, 10, hours=4, seed=2))
    assert report.finished_jobs + report.refusals == report.jobs
    assert report.deadlines > 20 and report.misses == 0


def test_an_interruption_ends_the_unit_that_runs():
    jobs = (SimulatedJob(0, "a", "k", 100, 3 * MS), SimulatedJob(10 * MS, "b", "l", 1, MS))
    ended = []

    def watch(world, decisions):
        ended.extend((world.now, decision.job) for decision in decisions if type(decision).__name__ == "Finished")

    World(Load({"a": 1.0, "b": 1.0}, jobs, 1, 10**12), watch).run()
    assert ended == [(13 * MS, 2), (301 * MS, 1)]


def test_a_cancelled_job_leaves_the_rest_alone():
    world = World(Load({"a": 1.0}, (), 1, 10**12, Policy()))
    first, second = (world.submit(SimulatedJob(0, "a", "k", 10, MS)) for _ in range(2))
    world.cancel(second)
    report = world.run()
    assert report.finished_jobs == 2 and "cancelled" in "\n".join(world.scheduler.why(second))
    assert "10 ms of device time" in world.scheduler.why(first)[-1]
