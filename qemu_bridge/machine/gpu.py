"""What a guest gets of a shared GPU: a port for commands, an aperture for data, and its part in QEMU's command line.

The port is one of virtio-serial, whose other end is a Unix socket on which QEMU listens: the GPU's server connects to it, so who is at the
other end is known from the socket alone, and a server that was killed connects anew. The aperture is a file of shared memory that the
guest sees as the memory of a PCI device (ivshmem-plain) and the host maps: what is written on one side is there on the other
(docs/gpu-protocol.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from ..memory.addresses import format_size

PORT_NAME = "org.glassbox.gpu"
"""Of the port in the guest: ``/sys/class/virtio-ports/*/name``."""
CHARDEV, PORT = "gpu", "gpu-port"
"""Ids in QEMU: of the socket, and of the port."""
GUEST_WORD = "glassbox.gpu"
"""Of the kernel's command line: the guest's init loads the driver of the port."""
MINIMUM_MEMORY, MAXIMUM_MEMORY = 1 << 20, 4 << 30
MAXIMUM_WEIGHT = 10_000.0
DEFAULT_MEMORY, DEFAULT_WEIGHT = 64 << 20, 10.0


@dataclass(frozen=True, slots=True)
class GpuShare:
    """A guest's share of a GPU: its `weight` beside the weights of others, and the `memory` in bytes that it may hold."""

    weight: float = DEFAULT_WEIGHT
    memory: int = DEFAULT_MEMORY

    @property
    def aperture(self) -> int:
        """Bytes of the aperture: the memory of a PCI device is a power of two, and holds all of `memory`."""
        return 1 << (self.memory - 1).bit_length()

    def validate(self) -> None:
        """Raise `UsageError` for a share that cannot be given."""
        if not (math.isfinite(self.weight) and 0 < self.weight <= MAXIMUM_WEIGHT):
            raise UsageError(
                f"{self.weight:g} is no weight; give --gpu-weight a number above 0 and up to {MAXIMUM_WEIGHT:g}"
            )
        if not MINIMUM_MEMORY <= self.memory <= MAXIMUM_MEMORY:
            raise UsageError(
                f"{self.memory} bytes cannot be a guest's memory of a GPU; give --gpu-memory"
                f" {format_size(MINIMUM_MEMORY)} to {format_size(MAXIMUM_MEMORY)}"
            )


def gpu_words(share: GpuShare, port: Path, aperture: Path) -> list[str]:
    """Words of QEMU's command line: a port whose other end is the socket at `port`, and the file at `aperture` as a device."""
    port_path, aperture_path = (str(path).replace(",", ",,") for path in (port, aperture))
    return [
        *("-chardev", f"socket,id={CHARDEV},path={port_path},server=on,wait=off"),
        *("-device", "virtio-serial-pci,id=gpu-bus,max_ports=2"),
        *("-device", f"virtserialport,bus=gpu-bus.0,nr=1,chardev={CHARDEV},id={PORT},name={PORT_NAME}"),
        *("-object", f"memory-backend-file,id=aperture,mem-path={aperture_path},size={share.aperture},share=on"),
        # The master of an aperture is the one whose state, when it is saved, has the content with it.
        *("-device", "ivshmem-plain,id=gpu-aperture,memdev=aperture,master=on"),
    ]
