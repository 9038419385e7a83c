"""A tenant's place on one device: the worker that runs its kernels there."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from pixel_cpu.backends.launch import Array
from pixel_cpu.runtime import Device

from .flight import Flight
from .job import Job

_CONTROL_BYTES = 4096


@dataclass(slots=True, eq=False)
class Seat:
    """`stop` is the word that ends a slice between two groups; `flight` what the worker was asked and has not answered.

    `arriving` are jobs whose kernels are to be made ready, before the scheduler hears of them in this order.
    """

    name: str
    device: Device
    stop: Array
    flight: Flight | None = None
    arriving: deque[Job] = field(default_factory=deque)


def take_seat(name: str, device: Device) -> Seat:
    """A place on the hypervisor's device of a name, by a `device` which is the tenant's alone."""
    descriptor = os.memfd_create("gpu_hypervisor", os.MFD_CLOEXEC)
    try:
        os.ftruncate(descriptor, _CONTROL_BYTES)
        return Seat(name, device, device.adopt(descriptor, _CONTROL_BYTES)[:4].view(np.uint32))
    finally:
        os.close(descriptor)
