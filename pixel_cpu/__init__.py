"""A compute floor: kernels of one small typed IR, run on CPU lanes or on any GPU.

>>> import pixel_cpu as px
>>> kernel = px.load("saxpy.gpk").kernel()
>>> kernel.launch(n, a=2.0, x=x, y=y, device="cpu")
"""

from qemu_bridge.host import startup as _startup  # noqa: F401  # before all others: Ctrl-C while they load

# isort: split
from .runtime import Device, Kernel, Program, devices, load, loads
from .runtime.wasm_calls import wasm
from .runtime.wasm_slices import Slice
from .supervisor import processes

__all__ = ["Device", "Kernel", "Program", "Slice", "devices", "load", "loads", "processes", "wasm"]
