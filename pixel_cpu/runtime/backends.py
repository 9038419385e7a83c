"""The back ends by the name of their device, loaded when the first kernel asks for one."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ..backends.launch import Executable
from ..errors import DeviceError, UsageError
from ..ir.limits import MAX_GROUP, MAX_LANES, MAX_OPERATIONS, MAX_PRIVATE_BYTES, MAX_WORKGROUP_BYTES
from ..ir.model import Module

MODULES = {
    "cpu": "pixel_cpu.backends.lane_c",
    "wgpu": "pixel_cpu.backends.wgsl",
    "numba": "pixel_cpu.backends.numba_lanes",
    "reference": "pixel_cpu.backends.reference",
}
"""Module of each back end; its ``compile_kernel(module, kernel, **options)`` gives an `Executable`."""


def compile_kernel(backend: str, module: Module, kernel: str, **options: Any) -> Executable:  # noqa: ANN401  # of the back end
    """Make a kernel of a verified module ready on a back end.

    Raises `DeviceError` where that has no such operation or is missing, `UsageError` where it has no such option.
    """
    if backend not in MODULES:
        raise DeviceError(f"there is no device {backend!r}; devices are {', '.join(MODULES)}")
    make: Callable[..., Executable] = importlib.import_module(MODULES[backend]).compile_kernel
    known = [name for name, value in inspect.signature(make).parameters.items() if value.kind is value.KEYWORD_ONLY]
    for name in options:
        if name not in known:
            raise UsageError(f"device {backend!r} has no option {name!r}; it has {', '.join(known) or 'none'}")
    return make(module, kernel, **options)


def prepare(backend: str, module: Module, kernel: str, **options: Any) -> bytes | None:  # noqa: ANN401  # of the back end
    """What a back end makes of a kernel that is too large to be sent as text, for `load_prepared`; None for others."""
    make: Callable[..., bytes | None] | None = getattr(importlib.import_module(MODULES[backend]), "prepare", None)
    return make(module, kernel, **options) if make else None


def load_prepared(backend: str, prepared: bytes) -> Executable:
    """A kernel that `prepare` made ready, perhaps in another process."""
    made: Executable = importlib.import_module(MODULES[backend]).load_prepared(prepared)
    return made


def is_there(backend: str, prepared: bytes) -> bool:
    """Whether what `prepare` gave some time ago can still be loaded."""
    found: bool = importlib.import_module(MODULES[backend]).is_there(prepared)
    return found


def describe(backend: str) -> str:
    """What stands behind a back end on this host, in words; `DeviceError` where it cannot be used."""
    text: str = importlib.import_module(MODULES[backend]).describe()
    return text


def limits(backend: str) -> Mapping[str, int]:
    """What a kernel and a launch may have on a back end: those of every back end, and its own; `DeviceError` as `describe`."""
    common = {
        "lanes_of_a_launch": MAX_LANES,
        "lanes_of_a_group": MAX_GROUP,
        "bytes_of_a_group": MAX_WORKGROUP_BYTES,
        "bytes_of_a_lane": MAX_PRIVATE_BYTES,
        "operations_of_a_kernel": MAX_OPERATIONS,
    }
    # A back end without limits of its own has no such function.
    own = getattr(importlib.import_module(MODULES[backend]), "limits", dict)
    return common | own()
