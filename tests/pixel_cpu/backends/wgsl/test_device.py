"""The device behind the back end, and what happens when it is lost."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from pixel_cpu.backends.launch import Launch
from pixel_cpu.backends.wgsl.device import Device, DeviceBuffer
from pixel_cpu.backends.wgsl.executable import compile_kernel
from pixel_cpu.errors import DeviceError
from pixel_cpu.ir.text import read
from pixel_cpu.ir.verifier import verify

KERNEL = "kernel main() group 8 {\n  buffer @x: u32\n  %0 = global_id : u32\n  store @x %0, %0 trap\n  return\n}\n"


@pytest.mark.parametrize("dtype", ["u1", "i2", "f8", "?"])
@pytest.mark.parametrize("count", [0, 1, 3, 1001])
def test_what_is_uploaded_comes_back(dtype, count):
    array = (np.arange(count) % 2).astype(dtype)
    buffer = DeviceBuffer.from_array(Device.default(), array)
    assert len(buffer) == count
    assert (buffer.download() == array).all()
    out = np.zeros(count, dtype)
    assert buffer.download(out) is out


def test_a_lost_device_is_an_error_and_the_next_one_works():
    device = Device()
    program = compile_kernel(verify(read(KERNEL)), "main", device=device)
    array = np.zeros(8, np.uint32)
    program.run(Launch(8, 8, {}, {"x": array}))
    device.lose()
    with pytest.raises(DeviceError, match="was lost"):
        program.run(Launch(8, 8, {}, {"x": array}))
    fresh = compile_kernel(verify(read(KERNEL)), "main", device=Device())
    assert fresh.run(Launch(8, 8, {}, {"x": array})).traps == 0
    assert (array == np.arange(8)).all()


def test_a_device_that_the_driver_takes_away_is_an_error():
    device = Device()
    program = compile_kernel(verify(read(KERNEL)), "main", device=device)
    array = np.zeros(8, np.uint32)
    program.run(Launch(8, 8, {}, {"x": array}))
    device.device.destroy()  # nobody tells the back end
    with pytest.raises(DeviceError):
        program.run(Launch(8, 8, {}, {"x": array}))


def test_a_shader_that_the_driver_refuses_is_an_error():
    with pytest.raises(DeviceError, match="failed"):
        Device.default().pipeline("this is no shader", ["uniform"])


def test_a_missing_adapter_is_an_error():
    program = (
        "from pixel_cpu.backends.wgsl.device import Device\nfrom pixel_cpu.errors import DeviceError\n"
        "try:\n    Device()\nexcept DeviceError as error:\n    print('refused:', error)\n"
    )
    environment = {"GLASSBOX_ADAPTER": "no such card", "PATH": "/usr/bin"}
    answer = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60
    )
    assert answer.stdout.startswith("refused: no graphics adapter")
