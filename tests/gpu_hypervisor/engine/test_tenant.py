"""Memory of a tenant: exact, zeroed, its own; in place where it can be."""

import fcntl
import os

import numpy as np
import pytest
from hypervisor_kernels import long_work, saxpy, work
from support import wait_until

from gpu_hypervisor import BufferSlice, Hypervisor, JobState
from gpu_hypervisor.errors import AdmissionError, BusyHandleError, HandleError, QuotaError
from pixel_cpu.errors import LaunchError


def sealed(size, seals=fcntl.F_SEAL_SHRINK):
    descriptor = os.memfd_create("region", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor


def test_the_quota_holds_to_the_byte(opened):
    tenant = opened(memory_bytes=1000)
    first = tenant.allocate(999)
    tenant.allocate(1)
    with pytest.raises(QuotaError, match="1 bytes are wanted, and 0 of 1000") as error:
        tenant.allocate(1)
    assert (error.value.wanted, error.value.left, tenant.usage().memory_bytes) == (1, 0, 1000)
    tenant.free(first)
    assert tenant.usage().memory_bytes == 1 and tenant.usage().buffers == 1
    tenant.allocate(999)
    with pytest.raises(AdmissionError, match="1 byte or more"):
        tenant.allocate(0)


def test_buffers_are_zero_whoever_had_the_memory_before(opened):
    one, other = opened(), opened()
    for _ in range(20):
        handle = one.allocate(1 << 16)
        one.write(handle, 0, b"secret" * 1000)
        one.free(handle)
        assert not any(other.read(other.allocate(1 << 16)))


def test_handles_are_the_tenants_own_and_gone_when_they_are_freed(opened):
    one, other = opened(), opened()
    handle = one.allocate(100)
    for action in (lambda: other.read(handle), lambda: other.free(handle), lambda: other.write(handle, 0, b"x")):
        with pytest.raises(HandleError, match="has no buffer"):
            action()
    x = np.zeros(25, "f4")
    with pytest.raises(HandleError):
        other.submit(saxpy(x, BufferSlice(handle)))
    one.free(handle)
    with pytest.raises(HandleError):
        one.free(handle)
    assert one.allocate(100) != handle


def test_kernels_use_parts_of_buffers(opened):
    tenant = opened()
    handle = tenant.allocate(4000)
    tenant.write(handle, 400, np.ones(100, "f4"))
    x = np.arange(100, dtype="f4")
    tenant.submit(saxpy(x, BufferSlice(handle, 400, 400))).result(120)
    found = np.frombuffer(tenant.read(handle), "f4")
    assert (found[100:200] == 2 * x + 1).all() and not found[:100].any() and not found[200:].any()
    for part in (BufferSlice(handle, 4001), BufferSlice(handle, -4), BufferSlice(handle, 0, 4001)):
        with pytest.raises(AdmissionError, match="has 4000 bytes, and none"):
            tenant.submit(saxpy(x, part))
    with pytest.raises(LaunchError, match="whole number of elements"):
        tenant.submit(saxpy(x, BufferSlice(handle, 0, 401))).result(120)


def test_a_buffer_that_a_job_uses_is_not_freed(opened):
    tenant = opened()
    handle = tenant.allocate(4 << 16)
    job = tenant.submit(work(np.zeros(1, "u4"), 1))
    job.result(120)
    submission = long_work()
    submission.arguments["y"] = BufferSlice(handle)
    job = tenant.submit(submission)
    wait_until(lambda: job.state is JobState.RUNNING)
    with pytest.raises(BusyHandleError, match="1 jobs use buffer"):
        tenant.free(handle)
    job.cancel()
    job.wait(60)
    tenant.free(handle)
    assert tenant.ledger.bytes == 0


def test_a_region_is_used_in_place_and_must_not_shrink(opened):
    tenant = opened(memory_bytes=0)
    descriptor = sealed(8192)
    region = tenant.adopt(descriptor, 8192)
    x, y = region[:4000].view("f4"), region[4096:8096].view("f4")
    x[:], y[:] = np.arange(1000), 1
    tenant.submit(saxpy(x, y)).result(120)
    assert (y == 2 * np.arange(1000) + 1).all() and tenant.usage().memory_bytes == 0
    assert os.pread(descriptor, 4000, 4096) == y.tobytes()
    with pytest.raises(AdmissionError, match="has 8192 bytes, not 8193"):
        tenant.adopt(descriptor, 8193)
    os.close(descriptor)
    unsealed = sealed(4096, 0)
    with pytest.raises(AdmissionError, match="F_SEAL_SHRINK"):
        tenant.adopt(unsealed, 4096)
    assert len(tenant.adopt(unsealed, 4096, is_trusted=True)) == 4096
    os.close(unsealed)


def test_more_memory_than_the_device_has_is_evicted_and_comes_back_bit_for_bit():
    with Hypervisor(memory_bytes=1 << 16) as hypervisor:
        tenants = [hypervisor.open_tenant(name, memory_bytes=1 << 16) for name in "abc"]
        random = np.random.default_rng(1)
        held = []
        for tenant in tenants:
            for _ in range(4):
                values = random.integers(0, 1 << 32, 1 << 12, np.uint32)
                handle = tenant.allocate(1 << 14)
                tenant.write(handle, 0, values)
                held.append((tenant, handle, values))
        assert hypervisor.residency.bytes <= 1 << 16 and hypervisor.residency.evictions == 8
        for tenant, handle, values in held:
            tenant.submit(work(BufferSlice(handle), 3, lanes=1 << 12)).result(120)
            assert (np.frombuffer(tenant.read(handle), "u4") == values + np.uint32(3)).all()
        assert [tenant.usage().memory_bytes for tenant in tenants] == [1 << 16] * 3
        assert hypervisor.residency.restores >= 8 and hypervisor.residency.bytes <= 1 << 16
        with pytest.raises(QuotaError, match="65540 bytes are wanted, and"):
            tenants[0].submit(work(np.zeros(16385, "u4"), 1))
