"""The wgpu device: choice of adapter, and the limits that the viewer relies on.

`GLASSBOX_ADAPTER` holds a part of an adapter's name (``llvmpipe``, ``nvidia``) where the default choice,
the fastest Vulkan, Metal or Direct3D 12 adapter, is not the wanted one. Without any adapter the picture
needs Mesa's software Vulkan driver, which Debian and Ubuntu call ``mesa-vulkan-drivers``.
"""

from __future__ import annotations

import logging
import os

import wgpu

from qemu_bridge.errors import GraphicsError

from . import shutdown as shutdown  # whoever has a device ends it in order

log = logging.getLogger(__name__)

TIMESTAMPS = "timestamp-query"
"""The feature that measures GPU time."""

MIB = 1 << 20
# WebGPU's minimum for one binding, which Mesa's software driver grants.
BINDING_BYTES = 128 * MIB
# More is never used: a GiB of voxels is the largest picture.
_MAX_BINDING_BYTES = 1024 * MIB
# A GiB in bindings of 128 MiB: eight of pages, two of the pyramid, three tables. WebGPU's minimum is eight.
_MAX_STORAGE_BUFFERS = 16


def adapter_name(adapter: wgpu.GPUAdapter) -> str:
    """Name of an adapter for people: ``llvmpipe (LLVM 15.0.6, 256 bits), Vulkan``."""
    info = adapter.info
    return f"{info['device'] or info['vendor']}, {info['backend_type']}"


def request_adapter() -> wgpu.GPUAdapter:
    """The adapter to draw with; `GraphicsError` where there is none, or none that `GLASSBOX_ADAPTER` names."""
    try:
        adapters = [a for a in wgpu.gpu.enumerate_adapters_sync() if a.info["backend_type"] != "OpenGL"]
    except Exception as error:  # wgpu raises its own kinds where no driver loads at all
        raise GraphicsError(f"no graphics driver loads ({error}); install mesa-vulkan-drivers") from None
    if not adapters:
        raise GraphicsError(
            "no Vulkan adapter was found; install a graphics driver, or Mesa's software Vulkan driver (package mesa-vulkan-drivers)"
        )
    wanted = os.environ.get("GLASSBOX_ADAPTER", "").strip().lower()
    if wanted:
        adapters = [a for a in adapters if wanted in adapter_name(a).lower()]
        if not adapters:
            raise GraphicsError(
                f"no graphics adapter's name contains {wanted!r}; unset GLASSBOX_ADAPTER or set it to a part of a name"
            )
    rank = {"DiscreteGPU": 0, "IntegratedGPU": 1, "VirtualGPU": 2}
    return min(adapters, key=lambda adapter: rank.get(adapter.info["adapter_type"], 3))


def request_device(adapter: wgpu.GPUAdapter | None = None) -> wgpu.GPUDevice:
    """A device with the limits the viewer relies on; `GraphicsError` where the adapter is too small."""
    adapter = adapter or request_adapter()
    limits = adapter.limits
    granted = int(limits["max-storage-buffer-binding-size"])
    if granted < BINDING_BYTES:
        raise GraphicsError(
            f"{adapter_name(adapter)} binds at most {granted // MIB} MiB where {BINDING_BYTES // MIB} are needed; "
            "set GLASSBOX_ADAPTER to another adapter, such as llvmpipe"
        )
    wanted = {
        "max-storage-buffer-binding-size": min(granted, _MAX_BINDING_BYTES),
        "max-buffer-size": min(int(limits["max-buffer-size"]), _MAX_BINDING_BYTES),
        "max-storage-buffers-per-shader-stage": min(
            _MAX_STORAGE_BUFFERS, int(limits["max-storage-buffers-per-shader-stage"])
        ),
    }
    try:
        # Timestamps measure drawing; without them the window uses the wall clock.
        features = [name for name in (TIMESTAMPS,) if name in adapter.features]
        device = adapter.request_device_sync(required_limits=wanted, required_features=features)
    except Exception as error:
        raise GraphicsError(
            f"{adapter_name(adapter)} refuses a device ({error}); set GLASSBOX_ADAPTER to another one"
        ) from None
    log.info("drawing with %s", adapter_name(adapter))
    return device


_COMPUTE_FEATURES = (TIMESTAMPS, "shader-f64", "shader-int64", "shader-int64-atomic-all-ops")
_COMPUTE_LIMITS = (
    "max-storage-buffer-binding-size",
    "max-buffer-size",
    "max-storage-buffers-per-shader-stage",
    "max-compute-invocations-per-workgroup",
    "max-compute-workgroup-size-x",
    "max-compute-workgroup-storage-size",
)


def request_compute_device(adapter: wgpu.GPUAdapter | None = None) -> wgpu.GPUDevice:
    """A device with all that an adapter has for kernels: 64-bit types, large bindings and groups.

    What is missing shows in its `features` and `limits`. Raises `GraphicsError` where the adapter refuses.
    """
    adapter = adapter or request_adapter()
    try:
        device = adapter.request_device_sync(
            required_limits={name: int(adapter.limits[name]) for name in _COMPUTE_LIMITS},
            required_features=[name for name in _COMPUTE_FEATURES if name in adapter.features],
        )
    except Exception as error:
        raise GraphicsError(
            f"{adapter_name(adapter)} refuses a device ({error}); set GLASSBOX_ADAPTER to another one"
        ) from None
    log.info("computing with %s", adapter_name(adapter))
    return device
