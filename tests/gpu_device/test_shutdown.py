"""GPU objects end in order at the exit of the interpreter, whoever holds them."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys, weakref, wgpu
from gpu_device.device import request_device

class Node: pass

def make():
    device = request_device()
    usage = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC
    buffer = device.create_buffer(size=4096, usage=usage)
    code = "@group(0) @binding(0) var<storage, read_write> all: array<u32>; @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) at: vec3u) { all[at.x] = at.x; }"
    module = device.create_shader_module(code=code)
    pipeline = device.create_compute_pipeline(layout="auto", compute={"module": module, "entry_point": "main"})
    group = device.create_bind_group(layout=pipeline.get_bind_group_layout(0), entries=[{"binding": 0, "resource": buffer}])
    encoder = device.create_command_encoder()
    work = encoder.begin_compute_pass()
    work.set_pipeline(pipeline)
    work.set_bind_group(0, group)
    work.dispatch_workgroups(16)
    work.end()
    device.queue.submit([encoder.finish()])
    assert bytes(device.queue.read_buffer(buffer))[4:8] == b"\\1\\0\\0\\0"
    left, right = Node(), Node()
    left.other, right.other = right, left
    left.things = [device.queue, device, device.adapter]
    right.things = [group, pipeline, buffer]
    return left

sys.modules["first"] = held = make()  # a cycle that is alive until modules are taken apart
make()                                # a cycle that waits for the garbage collector
gone = weakref.proxy(Node())          # what asks it anything gets an error
"""

WITH_SPIES = """
import atexit
order = []

def spy(kind):
    release = kind._release
    def told(self):
        if self._internal is not None:
            order.append(kind.__name__)
        release(self)
    kind._release = told

from wgpu.backends.wgpu_native import _api
for kind in (_api.GPUBuffer, _api.GPUBindGroup, _api.GPUComputePipeline, _api.GPUQueue, _api.GPUDevice, _api.GPUAdapter):
    spy(kind)
atexit.register(lambda: order.clear())  # runs before what was registered earlier
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)


def test_a_program_ends_well_that_holds_gpu_objects_in_cycles():
    ended = run(PROGRAM)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_what_a_device_made_goes_before_its_queue_and_that_before_the_device():
    look = "\nimport gpu_device.shutdown\natexit._run_exitfuncs()\nprint(*order)\n"
    ended = run(PROGRAM + WITH_SPIES + look)
    assert ended.returncode == 0, ended.stderr
    order = ended.stdout.split()
    last = ["GPUQueue"] * 2 + ["GPUDevice"] * 2
    assert order[-6:-2] == last and order[-2:] == ["GPUAdapter"] * 2
    assert sorted(set(order[:-6])) == ["GPUBindGroup", "GPUBuffer", "GPUComputePipeline"]
