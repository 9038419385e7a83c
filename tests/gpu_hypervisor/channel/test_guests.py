"""Real guests submit real kernels: through QEMU's port and aperture, with `gpu-submit`, against NumPy."""

import os
import signal

import numpy as np
import pytest
from gpu_guests import SAXPY, SPIN
from gpu_shell import Shell
from support import shared_files, stop, wait_until

from gpu_hypervisor.channel.frames import Frame, encode_frame
from gpu_hypervisor.channel.guests import Guests
from gpu_hypervisor.engine import Hypervisor
from qemu_bridge.client import Client
from qemu_bridge.machine.config import MachineConfig
from qemu_bridge.machine.gpu import GpuShare
from qemu_bridge.machine.launch import launch

pytestmark = pytest.mark.guest


@pytest.fixture(scope="module")
def server(gpu_machine):
    with Hypervisor(device="cpu") as hypervisor, Guests(hypervisor) as guests:
        wait_until(lambda: gpu_machine.name in guests.served)
        yield hypervisor


@pytest.fixture(scope="module")
def shell(server, gpu_machine):
    return Shell(gpu_machine)


@pytest.fixture(scope="module")
def files(shell):
    x = np.random.default_rng(15).normal(size=700).astype("f4")
    y = np.random.default_rng(16).normal(size=700).astype("f4")
    return (
        {"saxpy": shell.put(SAXPY.encode(), "saxpy.gpk"), "x": shell.put(x, "x.f32"), "y": shell.put(y, "y.f32")},
        x,
        y,
    )


@pytest.mark.parametrize("option", ["--in", "--map"])
def test_results_are_those_of_numpy(shell, files, option):
    paths, x, y = files
    words = (
        "--set",
        "a=2.5",
        option,
        f"x={paths['x']}",
        "--in",
        f"y={paths['y']}",
        "--out",
        "y=/tmp/out.f32",
        "--force",
    )
    shell.done("gpu-submit", paths["saxpy"], *words)
    np.testing.assert_array_equal(shell.get("/tmp/out.f32", "f4"), np.float32(2.5) * x + y)


def test_an_array_of_out_alone_begins_as_zeros(shell, files):
    paths, x, _ = files
    shell.done(
        "gpu-submit", paths["saxpy"], "--set", "a=2", "--in", f"x={paths['x']}", "--out", "y=/tmp/zeros.f32", "-v"
    )
    np.testing.assert_array_equal(shell.get("/tmp/zeros.f32", "f4"), 2 * x)
    status, said = shell.run(
        "gpu-submit", paths["saxpy"], "--set", "a=2", "--in", f"x={paths['x']}", "--out", "y=/tmp/zeros.f32"
    )
    assert status == 2 and "--force" in said


def test_what_lanes_print_is_printed(shell):
    text = 'GPU_KERNEL hello\n    GPU_THREAD_CODE:\n        THREAD_ID -> i\n        PRINT "lane" i\nGPU_END\n'
    said = shell.done("gpu-submit", shell.put(text.encode(), "hello.gpk"), "--lanes", "3")
    assert sorted(said.splitlines()) == ["lane 0", "lane 1", "lane 2"]


def test_an_error_has_the_place_in_the_guests_own_file(shell):
    path = shell.put(SAXPY.replace("LOAD", "LAOD").encode(), "bad.gpk")
    status, said = shell.run("gpu-submit", path, "--set", "a=2", "--lanes", "8")
    assert status == 2 and said.startswith(f"gpu-submit: {path}:9:13: LAOD begins no statement; did you mean LOAD?")


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("--in", "x={x}"), 2, "a is missing"),
        (("--set", "a=two", "--in", "x={x}", "--new", "y=10"), 2, "'two' is no number"),
        (("--set", "a=2", "--in", "x={x}", "--new", "y=99999999"), 4, "--gpu-memory"),
        (("--set", "a=2", "--in", "x={saxpy}"), 2, "such as .f32"),
        (("--kernel", "other", "--set", "a=2", "--in", "x={x}"), 2, "other"),
    ],
)
def test_what_is_refused_says_why_and_how_else(shell, files, words, status, told):
    paths = files[0]
    found, said = shell.run("gpu-submit", paths["saxpy"], *(word.format(**paths) for word in words))
    assert found == status and told in said


def test_limits_are_those_that_the_guest_was_started_with(shell):
    said = shell.done("gpu-submit", "--limits")
    assert "weight    60\n" in said and f"0 of {16 << 20} bytes\n" in said
    assert shell.done("gpu-submit", "--status") == "served\n"
    assert shell.run("gpu-submit", "--status", "123456789")[0] == 2


@pytest.mark.parametrize(
    "bad",
    [
        "head -c 100000 /dev/urandom",
        "head -c 300000 /dev/zero | tr '\\0' A",
        "yes '' | head -c 50000",
        "yes $(cat {wait}) | head -n 300",
        "head -c 3000 {half}",
    ],
)
def test_garbage_and_half_frames_on_the_port_harm_nobody_who_comes_after(shell, files, bad):
    paths, x, _ = files
    half = shell.put(encode_frame(Frame(0x100, 5, 1, bytes(3000))), "half")
    wait = shell.put(encode_frame(Frame(0x105, 5, 1, b"")), "wait")
    # What it writes may find no room any more: it reads no replies, so it is not read from.
    shell.machine.client.exec(
        f"{bad.format(half=half, wait=wait)} | timeout 3 dd of=/dev/vport0p1 bs=4096 2>/dev/null", 60.0
    )
    shell.done(
        "gpu-submit", paths["saxpy"], "--set", "a=3", "--in", f"x={paths['x']}", "--out", "y=/tmp/after.f32", "--force"
    )
    np.testing.assert_array_equal(shell.get("/tmp/after.f32", "f4"), 3 * x)


def test_jobs_of_a_process_that_was_killed_end(shell, server):
    spin = shell.put(SPIN.encode(), "spin.gpk")
    shell.machine.exec(
        f"gpu-submit {spin} --new x=1000 --out x=/tmp/never.i32 --fuel 1000000000000000 >/dev/null 2>&1 & echo $! >/tmp/spin.pid"
    )
    (tenant,) = server.tenants()
    wait_until(lambda: tenant.usage().running)
    shell.machine.exec("kill -9 $(cat /tmp/spin.pid)")
    wait_until(lambda: not tenant.usage().running and not tenant.usage().queued)
    assert shell.done("gpu-submit", "--status") == "served\n"


def test_a_process_that_has_the_port_is_waited_for(shell):
    shell.machine.exec(
        "(exec 3<>/dev/vport0p1; >/tmp/held; sleep 5) >/dev/null 2>&1 & while [ ! -e /tmp/held ]; do sleep 0.05; done"
    )
    status, said = shell.run("gpu-submit", "--status", "--wait", "0")
    assert status == 3 and "another process" in said
    assert shell.done("gpu-submit", "--status", "--wait", "60") == "served\n"


def test_a_server_that_ends_lets_its_guests_go_and_the_next_one_has_them(gpu_machine, shell, server):
    with Guests(server) as second:
        # The module's server has the port, so this one waits for its turn, and ends without it.
        assert second.served in ([], [gpu_machine.name])
    assert shell.done("gpu-submit", "--status") == "served\n"


def test_a_guest_whose_qemu_is_killed_leaves_nothing(server, image):
    launch(
        MachineConfig(
            name="gpu-victim",
            kernel=image.kernel,
            initrd=image.initrd,
            append="quiet",
            gpu=GpuShare(1.0, 1 << 20),
            qemu_args=("-S",),
        )
    )
    try:
        with Client.connect("gpu-victim") as client:
            found = client.connection
        wait_until(lambda: "gpu-victim" in [tenant.name for tenant in server.tenants()])
        os.kill(found.qemu_pid, signal.SIGKILL)
        wait_until(lambda: "gpu-victim" not in [tenant.name for tenant in server.tenants()])
    finally:
        stop("gpu-victim")
    wait_until(lambda: not shared_files("gpu-victim"))
