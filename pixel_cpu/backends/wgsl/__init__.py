"""WGSL: kernels on any GPU through WebGPU, and on Mesa's software Vulkan driver where there is none."""

from .device import DeviceBuffer
from .executable import Program, compile_kernel, describe, limits

__all__ = ["DeviceBuffer", "Program", "compile_kernel", "describe", "limits"]
