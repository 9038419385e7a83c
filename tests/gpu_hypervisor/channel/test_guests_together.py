"""Three guests share one device at once: each gets its own results, and one that is killed takes nothing of the others."""

import contextlib
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from gpu_guests import SAXPY
from gpu_shell import Shell
from support import booted, wait_until

from gpu_hypervisor.channel.guests import Guests
from gpu_hypervisor.engine import Hypervisor
from qemu_bridge.machine.gpu import GpuShare

pytestmark = [pytest.mark.guest, pytest.mark.long]

WEIGHTS = {"gpu-a": 60.0, "gpu-b": 30.0, "gpu-c": 10.0}


def test_three_guests_at_once_get_what_numpy_says_and_survive_one_another(image):
    with contextlib.ExitStack() as stack:
        machines = {
            name: stack.enter_context(booted(name, image, memory=96 << 20, gpu=GpuShare(weight, 4 << 20)))
            for name, weight in WEIGHTS.items()
        }
        hypervisor = stack.enter_context(Hypervisor(device="cpu"))
        guests = stack.enter_context(Guests(hypervisor))
        wait_until(lambda: guests.served == sorted(WEIGHTS))
        assert {tenant.name: tenant.weight for tenant in hypervisor.tenants()} == WEIGHTS

        def work(name, rounds=4):
            shell = Shell(machines[name])
            path = shell.put(SAXPY.encode(), "saxpy.gpk")
            for number in range(rounds):
                x = np.random.default_rng(len(name) * 100 + number).normal(size=500).astype("f4")
                given = f"x={shell.put(x, 'x.f32')}"
                # Numbers of memory and jobs are the same in each guest; what they stand for is not.
                shell.done(
                    "gpu-submit", path, "--set", f"a={number}.5", "--in", given, "--out", "y=/tmp/y.f32", "--force"
                )
                np.testing.assert_array_equal(shell.get("/tmp/y.f32", "f4"), np.float32(number + 0.5) * x)
            return rounds

        with ThreadPoolExecutor(3) as pool:
            assert list(pool.map(work, WEIGHTS)) == [4, 4, 4]
            others = [pool.submit(work, name) for name in ("gpu-a", "gpu-b")]
            os.kill(machines["gpu-c"].client.connection.qemu_pid, signal.SIGKILL)
            assert [each.result() for each in others] == [4, 4]
        wait_until(lambda: guests.served == ["gpu-a", "gpu-b"])
