"""Slices on a real device: shares, interruptions, workers that are stopped and killed."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from hypervisor_kernels import HASH, endless, long_work, saxpy, work
from support import wait_until

from gpu_hypervisor import Hypervisor, JobClass, JobState
from pixel_cpu.errors import DeviceError


def has_died(pid):
    """Whether a process has ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def run_until(tenants, seconds):
    """Device time that tenants got while they used so many seconds together."""
    before = [tenant.used_ns for tenant in tenants]
    wait_until(lambda: sum(t.used_ns for t in tenants) - sum(before) > seconds * 1e9, 240)
    used = [tenant.used_ns - was for tenant, was in zip(tenants, before, strict=True)]
    return [each / sum(used) for each in used]


def test_three_tenants_get_60_30_and_10_percent_of_measured_device_time(opened):
    tenants = [opened(weight=weight) for weight in (60, 30, 10)]
    jobs = [tenant.submit(long_work()) for tenant in tenants]
    wait_until(lambda: all(job.slices > 1 for job in jobs), 240)
    found = run_until(tenants, 2.0)
    assert found == pytest.approx([0.6, 0.3, 0.1], abs=0.04)


def test_a_kernel_that_cannot_be_cut_delays_nobody_for_long(hypervisor, opened):
    one, other = opened(), opened()
    job = one.submit(endless(seconds=1e6))
    wait_until(lambda: job.state is JobState.RUNNING and one.flight and one.flight.is_launch, 240)
    stops = hypervisor.stats().stops
    for _ in range(5):
        x, y = np.arange(100, dtype="f4"), np.ones(100, "f4")
        found = other.submit(saxpy(x, y, deadline_s=100.0, expected_s=0.05))
        found.result(120)
        assert (y == 2 * x + 1).all()
    assert hypervisor.stats().stops > stops and job.state is JobState.RUNNING
    assert job.cancel() and job.wait(60) is JobState.CANCELLED


def test_of_one_tenant_a_short_job_waits_for_the_group_that_its_long_one_is_in(opened):
    tenant, other = opened(), opened()
    # A group takes a while, and there are many: together half a minute.
    y = np.zeros(1 << 18, "u4")
    long = tenant.submit(work(y, 3_000_000, HASH, job_class=JobClass.BATCH, seconds=1e6))
    beside = other.submit(long_work())
    wait_until(lambda: long.slices > 0 and beside.slices > 0, 240)
    short = np.zeros(10, "u4")
    tenant.submit(work(short, 5, job_class=JobClass.INTERACTIVE)).result(120)
    assert (short == 5).all() and not long.state.has_ended
    long.cancel(), beside.cancel()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_worker_that_dies_takes_nothing_along(opened, number):
    tenant, other = opened(), opened()
    untouched = other.allocate(1000)
    other.write(untouched, 0, b"x" * 1000)
    beside = other.submit(long_work())
    for _ in range(20):
        y = np.arange(1 << 16, dtype="u4")
        job = tenant.submit(work(y, 300_000, job_class=JobClass.BATCH, seconds=1e6))
        wait_until(lambda job=job: job.slices > 1 or job.state.has_ended, 240)
        worker = tenant.usage().worker_pid
        os.kill(worker, number)
        job.result(240)
        # The next job must not meet it while it dies: a job begins again once.
        wait_until(lambda pid=worker: has_died(pid))
        # Adding again to what was added already would show.
        assert (y == np.arange(1 << 16) + 300_000).all()
        if tenant.usage().restarts:  # else it died between two slices, where nothing is lost
            break
    assert tenant.usage().restarts == 1
    assert other.read(untouched) == b"x" * 1000 and not beside.state.has_ended
    beside.cancel()


def test_a_worker_that_dies_while_a_kernel_is_made_ready_and_again_in_the_launch_takes_nothing_along(opened):
    tenant, other = opened(), opened()
    # What no compiler sees the end of, and once without harm to know what it gives.
    expected = np.arange(1 << 16, dtype="u4")
    tenant.submit(work(expected, 100_000, HASH, seconds=1e6)).result(240)
    beside = other.submit(long_work())
    os.kill(tenant.usage().worker_pid, signal.SIGSTOP)
    y = np.arange(1 << 16, dtype="u4")
    text = HASH.replace("group 32", "group 64")
    job = tenant.submit(work(y, 100_000, text, job_class=JobClass.BATCH, seconds=1e6))
    wait_until(lambda: tenant.flight is not None and not tenant.flight.is_launch, 240)
    os.kill(tenant.usage().worker_pid, signal.SIGKILL)
    wait_until(lambda: tenant.flight is not None and tenant.flight.is_launch, 240)
    os.kill(tenant.usage().worker_pid, signal.SIGKILL)
    job.result(240)
    beside.cancel()
    assert (y == expected).all()


def test_what_is_not_kept_is_reported_lost():
    with Hypervisor(restore_bytes=0) as hypervisor, hypervisor.open_tenant("a") as tenant:
        job = tenant.submit(long_work())
        wait_until(lambda: job.slices > 0 or job.state is JobState.RUNNING, 240)
        wait_until(lambda: tenant.flight and tenant.flight.is_launch, 240)
        os.kill(tenant.usage().worker_pid, signal.SIGKILL)
        with pytest.raises(DeviceError, match=r"SIGKILL.*what y holds is not whole"):
            job.result(120)
        y = np.zeros(10, "u4")
        tenant.submit(work(y, 5)).result(120)
        assert (y == 5).all()


def test_a_worker_that_died_while_it_had_nothing_to_do_is_replaced(opened):
    tenant = opened()
    for _ in range(2):
        y = np.zeros(10, "u4")
        tenant.submit(work(y, 5)).result(120)
        assert (y == 5).all()
        pid = tenant.usage().worker_pid
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda pid=pid: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))
