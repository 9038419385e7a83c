"""Compute jobs along the Hilbert curve: placing pages and bricks, and the pyramid above them.

The pool (`viewer.render.pool`) and the page table (`viewer.render.page_table`) run them; the tests' dense grid
(`viewer.render.dense_grid`) runs them too.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import wgpu

SHADERS = Path(__file__).parent / "shaders"
PIECE_BYTES = 4 << 20
"""One upload: larger ones spend their time in page faults of the staging memory."""
_ENTRIES = {
    "skilling.wgsl": ("fill_bricks", "place_pages", "scatter_pages", "place_slots"),
    "pyramid.wgsl": ("reduce_pages", "reduce_blocks"),
}
_JOB = np.dtype([("order", "<u4"), ("cube_order", "<u4"), ("coarsening", "<u4"), ("count", "<u4")])


class CurveJobs:
    """The compute pipelines of ``skilling.wgsl`` and ``pyramid.wgsl``, with one explicit layout for all of them."""

    def __init__(self, device: wgpu.GPUDevice) -> None:
        self.device = device
        kinds = ("uniform", "read-only-storage", "read-only-storage", "storage")
        self._layout = device.create_bind_group_layout(
            entries=[
                {"binding": n, "visibility": wgpu.ShaderStage.COMPUTE, "buffer": {"type": kind}}
                for n, kind in enumerate(kinds)
            ]
        )
        layout = device.create_pipeline_layout(bind_group_layouts=[self._layout])
        self._pipelines = {}
        for file, entries in _ENTRIES.items():
            module = device.create_shader_module(code=(SHADERS / file).read_text())
            for entry in entries:
                self._pipelines[entry] = device.create_compute_pipeline(
                    layout=layout, compute={"module": module, "entry_point": entry}
                )
        self._job = device.create_buffer(size=_JOB.itemsize, usage=wgpu.BufferUsage.UNIFORM | wgpu.BufferUsage.COPY_DST)

    def bind(self, source: wgpu.GPUBuffer, bricks: wgpu.GPUBuffer, target: wgpu.GPUBuffer) -> wgpu.GPUBindGroup:
        """A bind group that reads `source` and `bricks` and writes `target`."""
        buffers = (self._job, source, bricks, target)
        return self.device.create_bind_group(
            layout=self._layout,
            entries=[{"binding": n, "resource": {"buffer": buffer}} for n, buffer in enumerate(buffers)],
        )

    def run(self, entry: str, group: wgpu.GPUBindGroup, job: tuple[int, int, int, int], workgroups: int) -> None:
        """Submit `workgroups` workgroups of `entry`; job is the four numbers of the shader's `Job`."""
        self.device.queue.write_buffer(self._job, 0, np.array([job], _JOB))
        encoder = self.device.create_command_encoder()
        compute = encoder.begin_compute_pass()
        compute.set_pipeline(self._pipelines[entry])
        compute.set_bind_group(0, group)
        rows = -(-workgroups // 65535)  # WebGPU's limit for one dimension of a dispatch
        compute.dispatch_workgroups(-(-workgroups // rows), rows)
        compute.end()
        self.device.queue.submit([encoder.finish()])
