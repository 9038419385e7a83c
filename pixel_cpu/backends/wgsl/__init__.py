"""WGSL: kernels on any GPU through WebGPU, and on Mesa's software Vulkan driver where there is none."""
