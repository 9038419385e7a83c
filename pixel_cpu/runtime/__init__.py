"""Running kernels: devices in processes of their own, shared buffers with a ledger, launches with limits."""

from .buffers import Ledger
from .device import Device, DeviceInfo, devices
from .program import Kernel, Program, load, loads

__all__ = ["Device", "DeviceInfo", "Kernel", "Ledger", "Program", "devices", "load", "loads"]
