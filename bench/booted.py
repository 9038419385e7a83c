"""A booted guest for a benchmark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from qemu_bridge.client import Client
from qemu_bridge.machine.config import MachineConfig
from qemu_bridge.machine.gpu import GpuShare
from qemu_bridge.machine.launch import launch

from .boot import find_image


@contextmanager
def booted(name: str, memory_bytes: int = 128 << 20, gpu: GpuShare | None = None) -> Iterator[Client]:
    """A client of machine `name`, up and running, with a share of a GPU where one is given; stopped at the end."""
    image = find_image()
    launch(
        MachineConfig(
            name, image.kernel, image.initrd, image.command_line, memory=memory_bytes, image=image.name, gpu=gpu
        )
    )
    with Client.connect(name) as client:
        try:
            client.wait_ready(300.0)
            yield client
        finally:
            client.stop()
