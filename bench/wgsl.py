"""Kernels through wgpu: what a launch costs beside its work, and the bandwidth of one that only moves memory."""

from __future__ import annotations

import statistics

import numpy as np

from pixel_cpu.backends.launch import Launch
from pixel_cpu.backends.wgsl import DeviceBuffer, compile_kernel
from pixel_cpu.backends.wgsl.device import Device
from pixel_cpu.ir.text import read
from pixel_cpu.ir.verifier import verify

from .figures import Figure, seconds

SAXPY = """
kernel saxpy(%a: f32) group 64 {
  buffer @x: f32 read
  buffer @y: f32
  %0 = global_id : u32
  %1 = load @x %0 proved : f32
  %2 = mul %a, %1 : f32
  %3 = load @y %0 proved : f32
  %4 = add %2, %3 : f32
  store @y %0, %4 proved
  return
}
"""
_BYTES_OF_A_LANE = 12
_ROUNDS = 30


def measure(rounds: int, lanes: int = 4 << 20) -> list[Figure]:
    """Overhead of a launch on buffers that stay on the device, time of the first launch, and saxpy by the device's own clock."""
    device = Device.default()
    program = compile_kernel(verify(read(SAXPY)), "saxpy", device=device)
    first = program.run(_launch(device, 64))
    small, large = _launch(device, 64), _launch(device, lanes)
    overhead = statistics.median(seconds(lambda: program.run(small)) for _ in range(_ROUNDS))
    outcomes = [program.run(large) for _ in range(rounds)]
    took = min(outcome.device_seconds or outcome.seconds for outcome in outcomes)
    what = f"{device.name}, float32"
    return [
        Figure("launch through wgpu, resident buffers", overhead * 1e3, "ms", "<= 1", device.name),
        Figure("first launch of a small kernel through wgpu", first.build_seconds, "s", "", device.name),
        Figure("saxpy through wgpu", lanes * _BYTES_OF_A_LANE / took / 1e9, "GB/s", "", f"{lanes} lanes, {what}"),
    ]


def _launch(device: Device, lanes: int) -> Launch:
    buffers = {name: DeviceBuffer.from_array(device, np.ones(lanes, np.float32)) for name in "xy"}
    return Launch(lanes, 64, {"a": 2.0}, buffers)
