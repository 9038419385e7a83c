"""Tenants in other processes: the same results and errors as in the hypervisor's own."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypervisor_kernels import SAXPY, WORK, long_work, saxpy, work
from support import wait_until

from gpu_hypervisor import BufferSlice, JobClass, JobState, Submission
from gpu_hypervisor.errors import DeadlineError, HandleError, QuotaError, TenantGoneError
from gpu_hypervisor.service import Client
from pixel_cpu.errors import SourceError, TrapError
from qemu_bridge.errors import HostError, UsageError


def test_jobs_of_two_tenants_give_what_numpy_gives(client):
    with client.open_tenant("a", weight=2.0) as one, client.open_tenant("b") as other:
        found = []
        for tenant in (one, other):
            x, y = np.arange(1000, dtype="f4"), np.ones(1000, "f4")
            found.append((x, y, tenant.submit(saxpy(x, y, label="remote"))))
        for x, y, job in found:
            assert job.result(120).report.kernel == "saxpy" and (y == 2 * x + 1).all()
            assert any("done" in line for line in client.why(job.number))
        stats = client.stats()
        assert {each.name: each.weight for each in stats.tenants} == {"a": 2.0, "b": 1.0}
        client.set_weight("b", 5.0)
        assert other.usage().weight == 5 and not other._regions


def test_regions_are_shared_and_buffers_are_copied_through_them(client):
    with client.open_tenant("a", memory_bytes=4000) as tenant:
        region = tenant.region(8192)
        x, y = region[:4000].view("f4"), region[4096:8096].view("f4")
        x[:], y[:] = np.arange(1000), 1
        tenant.submit(saxpy(x, y)).result(120)
        assert (y == 2 * x + 1).all()
        handle = tenant.allocate(4000)
        tenant.write(handle, 0, y)
        tenant.submit(saxpy(x, BufferSlice(handle))).result(120)
        assert (np.frombuffer(tenant.read(handle, 0, 4000), "f4") == 4 * x + 1).all()
        with pytest.raises(QuotaError) as error:
            tenant.allocate(1)
        assert (error.value.wanted, error.value.left) == (1, 0)
        tenant.free(handle)
        with pytest.raises(HandleError):
            tenant.free(handle)


def test_errors_come_as_what_they_are(client):
    with client.open_tenant("a") as tenant:
        x = np.zeros(10, "f4")
        with pytest.raises(SourceError) as source:
            tenant.submit(Submission(SAXPY.replace("MUL a xv", "MUL a"), lanes=10)).result(120)
        assert source.value.line == 13 and source.value.column > 1
        with pytest.raises(TrapError, match="lane 10") as trap:
            arguments = {"rounds": 1, "y": np.zeros(10, "u4")}
            tenant.submit(Submission(WORK, language="ir", lanes=11, arguments=arguments)).result(120)
        assert (trap.value.lane, trap.value.kernel) == (10, "work")
        with pytest.raises(DeadlineError) as late:
            tenant.submit(saxpy(x, x.copy(), deadline_s=1e-6, expected_s=1.0)).result(120)
        assert late.value.left_seconds == 0
        with pytest.raises(UsageError, match="choose another name"):
            client.open_tenant("a")
        with pytest.raises(TimeoutError):
            job = tenant.submit(long_work())
            job.wait(0.01)
        assert job.cancel() and job.wait(60) is JobState.CANCELLED and not job.cancel()


def test_a_client_that_is_killed_leaves_nothing(server, client):
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, 'tests')\n"
        "from hypervisor_kernels import long_work\nfrom gpu_hypervisor.service import Client\n"
        f"tenant = Client(Path({str(server.path)!r})).open_tenant('doomed')\n"
        "tenant.allocate(1000); tenant.submit(long_work()); print('ready', flush=True); import time; time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        assert [each.name for each in client.stats().tenants] == ["doomed"]
        process.kill()
    wait_until(lambda: not server.hypervisor.tenants())
    assert client.stats().memory_bytes == 0
    with client.open_tenant("doomed") as tenant:
        y = np.zeros(10, "u4")
        tenant.submit(work(y, 5, job_class=JobClass.BATCH)).result(120)
        assert (y == 5).all()


def test_where_no_service_is_the_error_says_how_to_start_one(tmp_path):
    with pytest.raises(HostError, match="glassbox gpu serve"):
        Client(tmp_path / "none")


def test_a_connection_that_ended_is_said(client):
    tenant = client.open_tenant("a")
    tenant.close()
    with pytest.raises((TenantGoneError, OSError)):
        tenant.usage()
    wait_until(lambda: not client.stats().tenants)
    assert os.getpid()
