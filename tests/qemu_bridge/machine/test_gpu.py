"""A guest's share of a GPU: what QEMU is told, what the guest sees of it, and what is left of it when the machine ends."""

import mmap
import os
import signal
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from support import glassbox, shared_files, stop, wait_until

from qemu_bridge.client import Client
from qemu_bridge.errors import UsageError
from qemu_bridge.machine.config import Endpoints, MachineConfig, qemu_argv
from qemu_bridge.machine.gpu import PORT_NAME, GpuShare, gpu_words
from qemu_bridge.machine.launch import launch
from qemu_bridge.wire import connection

ENDPOINTS = Endpoints(Path("/r"), Path("/q"), Path("/c"), 5, 6, 7, gpu_port=Path("/run/a.gpu"), aperture=Path("/s/a"))


def test_the_aperture_is_a_power_of_two_that_holds_the_memory():
    sizes = [GpuShare(memory=memory).aperture for memory in (1 << 20, (1 << 20) + 1, 48 << 20, 64 << 20)]
    assert sizes == [1 << 20, 2 << 20, 64 << 20, 64 << 20]


@pytest.mark.parametrize(
    "share", [GpuShare(0), GpuShare(float("nan")), GpuShare(1e9), GpuShare(1, 0), GpuShare(1, 1 << 40)]
)
def test_a_share_that_cannot_be_given_is_refused_with_what_can_be(share):
    with pytest.raises(UsageError, match="give --gpu-"):
        replace(MachineConfig("demo"), gpu=share).validate()


def test_only_a_machine_with_a_share_has_devices_for_it():
    words = " ".join(qemu_argv("qemu", replace(MachineConfig("demo"), gpu=GpuShare()), ENDPOINTS))
    assert "ivshmem-plain" in words and f"name={PORT_NAME}" in words and "path=/run/a.gpu,server=on,wait=off" in words
    plain = " ".join(qemu_argv("qemu", MachineConfig("demo"), ENDPOINTS))
    assert "ivshmem" not in plain and "virtio-serial" not in plain


def test_commas_of_a_path_are_not_taken_for_options():
    words = gpu_words(GpuShare(), Path("/a,b"), Path("/c,d"))
    assert any("path=/a,,b," in word for word in words) and any("mem-path=/c,,d," in word for word in words)


def test_weight_and_memory_without_a_gpu_are_a_mistake():
    answer = glassbox("start", "none", "--gpu-weight", "3")
    assert answer.returncode == 2 and "add --gpu" in answer.stderr


@pytest.mark.guest
def test_the_guest_maps_what_the_host_maps(gpu_machine):
    path = Path(gpu_machine.client.connection.aperture_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and path.stat().st_size == 16 << 20
    port = Path(gpu_machine.client.connection.gpu_port)
    assert stat.S_ISSOCK(port.stat().st_mode) and stat.S_IMODE(port.parent.stat().st_mode) == 0o700
    assert gpu_machine.exec("cat /sys/class/virtio-ports/*/name").decode().strip() == PORT_NAME
    devices = gpu_machine.exec("grep -l 0x1110 /sys/bus/pci/devices/*/device").decode().split()
    assert len(devices) == 1
    resource = f"{os.path.dirname(devices[0])}/resource2"
    assert int(gpu_machine.exec(f"stat -c %s {resource}")) == 16 << 20
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        assert not any(memory[:4096])


@pytest.mark.guest
def test_a_killed_daemon_leaves_neither_aperture_nor_socket(image):
    launch(
        MachineConfig(
            name="shared", kernel=image.kernel, initrd=image.initrd, append="quiet", gpu=GpuShare(), qemu_args=("-S",)
        )
    )
    try:
        with Client.connect("shared") as client:
            found = client.connection
        assert Path(found.aperture_path).exists() and Path(found.gpu_port).exists()
        assert (found.gpu_weight, found.gpu_memory) == (10.0, 64 << 20)
        os.kill(found.daemon_pid, signal.SIGKILL)
        wait_until(lambda: not connection.is_alive("shared"))
        connection.prune()
        assert not shared_files("shared") and not Path(found.gpu_port).exists()
    finally:
        stop("shared")
