"""A compute floor: kernels of one small typed IR, run on CPU lanes or on any GPU.

>>> import pixel_cpu as px
>>> kernel = px.load("saxpy.gpk").kernel()
>>> kernel.launch(n, a=2.0, x=x, y=y, device="cpu")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from qemu_bridge.host import startup as _startup  # noqa: F401  # before all others: Ctrl-C while they load

if TYPE_CHECKING:
    from .runtime import Device, Kernel, Program, devices, load, loads
    from .runtime.wasm_calls import wasm
    from .runtime.wasm_slices import Slice
    from .supervisor import processes

__all__ = ["Device", "Kernel", "Program", "Slice", "devices", "load", "loads", "processes", "wasm"]

_PLACES = {"Slice": "runtime.wasm_slices", "processes": "supervisor", "wasm": "runtime.wasm_calls"}
"""Where names are; others are in `runtime`."""


def __getattr__(name: str) -> Any:  # noqa: ANN401  # a module's attribute
    # Loaded when named: kernels need no WebAssembly, and no command waits for what it does not use.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f".{_PLACES.get(name, 'runtime')}", __name__), name)
    return found


def __dir__() -> list[str]:
    return [*globals(), *__all__]
