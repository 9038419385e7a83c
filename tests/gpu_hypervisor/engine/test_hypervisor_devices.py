"""Several devices at once: jobs go where they are done soonest, move while they run, and give the same."""

import os
from dataclasses import replace

import numpy as np
import pytest
from hypervisor_kernels import HASH, endless, hashed, saxpy, work
from support import wait_until

import pixel_cpu
from gpu_hypervisor import BufferSlice, Hypervisor, JobClass, JobState
from qemu_bridge.errors import UsageError

CORES = sorted(os.sched_getaffinity(0))
FIRST, SECOND = f"cpu@{CORES[0]}", f"cpu@{CORES[-1]}" if len(CORES) > 1 else "cpu"


@pytest.fixture(scope="module")
def hypervisor():
    # The last one is the least: it takes part where it is asked to, or what is measured says so.
    with Hypervisor((FIRST, SECOND, "wgpu")) as found:
        yield found


def running(job):
    """Wait until a job runs, or ran so fast that it has ended."""
    wait_until(lambda: job.state is JobState.RUNNING or job.state.has_ended, 240)


def check(y, rounds, text=HASH):
    """Every lane ran once: some by NumPy, all by a device that ran the launch as a whole."""
    before, some = np.arange(len(y), dtype="u4"), slice(0, len(y), 997)
    whole = before.copy()
    with pixel_cpu.Device("cpu", events=False) as device:
        kernel = pixel_cpu.loads(text, language="ir").kernel()
        kernel.launch(len(y), device=device, rounds=rounds, y=whole)
    assert (y == whole).all() and (y[some] == hashed(before[some], rounds)).all()


ROUNDS = 60_000


@pytest.mark.long
@pytest.mark.parametrize("group", [32, 24])
def test_a_job_that_moves_between_processors_and_a_gpu_gives_the_same(hypervisor, group):
    y, text = np.arange(1 << 15, dtype="u4"), HASH.replace("group 32", f"group {group}")
    with hypervisor.open_tenant("moving") as tenant:
        hypervisor.move("moving", FIRST)
        job = tenant.submit(work(y, ROUNDS, text, job_class=JobClass.BATCH))
        for device in (SECOND, "wgpu", FIRST, "wgpu", SECOND):
            running(job)
            hypervisor.move("moving", device)
            wait_until(lambda to=device: job.device == to or job.state.has_ended, 240)
        job.result(240)
        assert job.moves >= 2, hypervisor.why(job.number)
        check(y, ROUNDS, text)
        text = "\n".join(hypervisor.why(job.number))
        assert f"{SECOND}: its tenant's jobs run there" in text and "go on with another device" in text


def test_a_device_that_is_drained_has_no_job_and_gets_none(hypervisor):
    with hypervisor.open_tenant("drained") as tenant:
        hypervisor.move("drained", FIRST)
        y = np.arange(1 << 15, dtype="u4")
        job = tenant.submit(work(y, ROUNDS, HASH, job_class=JobClass.BATCH))
        running(job)
        hypervisor.drain(FIRST)
        try:
            wait_until(lambda: not next(each for each in hypervisor.stats().devices if each.name == FIRST).jobs, 240)
            x, z = np.arange(100, dtype="f4"), np.ones(100, "f4")
            other = tenant.submit(saxpy(x, z)).result(240)
            assert other.device != FIRST and (z == 2 * x + 1).all()
            job.result(240)
            assert job.moves
            check(y, ROUNDS)
            with pytest.raises(UsageError, match="is drained"):
                hypervisor.move("drained", FIRST)
        finally:
            hypervisor.resume(FIRST)
        with pytest.raises(UsageError, match="no tenant"):
            hypervisor.move("nobody", FIRST)


def test_a_job_in_a_group_that_does_not_end_stays_and_can_be_cancelled(hypervisor):
    with hypervisor.open_tenant("stuck") as tenant:
        hypervisor.move("stuck", FIRST)
        job = tenant.submit(endless(seconds=1e6))
        wait_until(lambda: job.state is JobState.RUNNING and tenant.seats[FIRST].flight, 240)
        hypervisor.move("stuck", SECOND)
        wait_until(lambda: job.moves == 1, 240)
        assert job.device == FIRST
        wait_until(lambda: job.state is JobState.RUNNING, 240)
        assert job.cancel() and job.wait(60) is JobState.CANCELLED
        y = np.zeros(10, "u4")
        tenant.submit(work(y, 5)).result(240)
        assert (y == 5).all()


def test_an_idle_device_takes_over_the_jobs_of_a_tenant_that_waits_for_another_one(hypervisor):
    with hypervisor.open_tenant("runs") as one, hypervisor.open_tenant("waits") as other:
        for name in ("runs", "waits"):
            hypervisor.move(name, FIRST)
        first = one.submit(endless(seconds=1e6))
        wait_until(lambda: first.state is JobState.RUNNING, 240)
        y = np.arange(1 << 14, dtype="u4")
        second = other.submit(work(y, ROUNDS, HASH, job_class=JobClass.BATCH))
        wait_until(lambda: second.state is not JobState.QUEUED_BUILD, 240)
        for name in ("runs", "waits"):
            hypervisor.move(name, None)
        wait_until(lambda: second.device != FIRST or second.state.has_ended, 240)
        second.result(240)
        check(y, ROUNDS)
        assert second.moves and first.device == FIRST, hypervisor.why(second.number)
        assert first.cancel() and first.wait(60) is JobState.CANCELLED


def test_jobs_of_a_tenant_keep_their_order_while_they_move(hypervisor):
    before = np.arange(1 << 14, dtype="u4")
    with hypervisor.open_tenant("ordered") as tenant:
        hypervisor.move("ordered", FIRST)
        handle = tenant.allocate(before.nbytes)
        tenant.write(handle, 0, before)
        given = {"y": BufferSlice(handle)}
        jobs = [
            tenant.submit(
                replace(work(before, rounds, HASH, job_class=JobClass.BATCH), arguments={"rounds": rounds, **given})
            )
            for rounds in (ROUNDS, 100, 50)
        ]
        running(jobs[0])
        for device in (SECOND, FIRST, SECOND):
            hypervisor.move("ordered", device)
        for job in jobs:
            job.result(240)
        found = np.frombuffer(tenant.read(handle), "u4")
    some = slice(0, len(before), 997)
    wanted = before[some]
    for rounds in (ROUNDS, 100, 50):
        wanted = hashed(wanted, rounds)
    assert (found[some] == wanted).all()
    assert [job.ended_ns for job in jobs] == sorted(job.ended_ns for job in jobs)
