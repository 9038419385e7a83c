"""The GPU service as a window asks it: only while somebody looks."""

import tempfile
import threading

import numpy as np
import pytest
from hypervisor_kernels import saxpy
from support import wait_until

from gpu_hypervisor import Hypervisor
from gpu_hypervisor.service import Server
from viewer.sources import gpu


@pytest.fixture
def watch(monkeypatch):
    with tempfile.TemporaryDirectory(prefix="gb-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        monkeypatch.setattr(gpu, "ASK_S", 0.02)
        woken = threading.Event()
        found = gpu.GpuWatch(woken.set)
        found.woken = woken
        found.start()
        yield found
        found.stop()


def test_nobody_is_asked_before_somebody_looks_and_a_service_that_comes_and_goes_is_found(watch):
    assert watch.state is None and not watch.problem and not watch.woken.is_set()
    watch.look()
    wait_until(lambda: watch.problem)
    assert "glassbox gpu serve" in watch.problem
    with Hypervisor() as hypervisor, hypervisor.open_tenant("a") as tenant:
        with Server(hypervisor):
            x = np.arange(10, dtype="f4")
            tenant.submit(saxpy(x, x.copy())).result(120)
            watch.look()
            wait_until(lambda: watch.state is not None and watch.state.slices)
            assert watch.state.stats.tenants[0].name == "a" and not watch.problem
            assert [job.tenant for job in watch.state.jobs] == ["a"]
        watch.look()
        wait_until(lambda: watch.state is None)


def test_who_looks_no_more_costs_nothing(watch, monkeypatch):
    monkeypatch.setattr(gpu, "LOOKED_S", 0.1)
    watch.look()
    wait_until(lambda: watch.problem)
    wait_until(lambda: not watch._looked.is_set())
    watch.woken.clear()
    assert not watch.woken.wait(0.3)
