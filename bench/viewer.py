"""The viewer's sparse bricks: frames, updates and empty-space skipping, on synthetic guests; needs no QEMU.

With a capture (``python -m bench viewer --capture FOLDER``) the same on the memory of a real guest, without one.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import wgpu

from gpu_device.device import adapter_name, request_adapter, request_device
from viewer.app.resolution_scaler import ResolutionScaler
from viewer.picture.offscreen import load_scene
from viewer.render.raymarch import Renderer
from viewer.sources.machine import MachineSource
from viewer.sources.source import Source
from viewer.view.camera import Camera, default_camera

from .figures import Figure, paired_medians, seconds
from .gpu import is_software, measure_gpu, skipped
from .guests import PAGE_BYTES, MadeUpGuest

_PICTURE = (640, 360)
_WINDOW = (1280, 720)
_DIRTY_PAGES = 1024
_RUN_PAGES = 4


class Stage:
    """A guest on the device, and the measurement of a frame."""

    def __init__(self, device: wgpu.GPUDevice, guest: Source) -> None:
        self.view = guest.ram.view
        self.scene = load_scene(guest, device)
        self.renderer = Renderer(self.scene)
        self.pool = self.scene.pool
        self.camera = default_camera(self.scene.relative_extent)
        self._touched = np.flatnonzero(guest.ram.resident_pages()[: self.pool.page_count])
        self.dirty = self.choose_dirty(_DIRTY_PAGES)
        self._targets: dict[tuple[int, int], wgpu.GPUTexture] = {}
        self.pool.wait()

    def choose_dirty(self, count: int) -> npt.NDArray[np.int64]:
        """Pages that a busy guest wrote: `count`, if it touched as many, in short runs all over its memory, ascending."""
        runs = len(self._touched) // _RUN_PAGES
        starts = np.random.default_rng(2).choice(runs, min(count // _RUN_PAGES, runs), replace=False)
        places = np.sort((starts[:, None] * _RUN_PAGES + np.arange(_RUN_PAGES)).reshape(-1))
        return self._touched[places].astype(np.int64)

    def draw_frame(
        self, camera: Camera, size: tuple[int, int], dirty: npt.NDArray[np.int64], window: tuple[int, int] = _WINDOW
    ) -> None:
        """The work of the window while the camera moves: pages, one pass, present."""
        self.pool.update(self.view, dirty)
        self.renderer.restart()
        self.renderer.draw_pass(camera, size, soft=False)
        self.renderer.present(self._target(window).create_view(), window)
        self.pool.wait()

    def _target(self, size: tuple[int, int]) -> wgpu.GPUTexture:
        if size not in self._targets:
            usage = wgpu.TextureUsage.RENDER_ATTACHMENT | wgpu.TextureUsage.COPY_SRC
            self._targets[size] = self.pool.device.create_texture(size=(*size, 1), format="rgba8unorm", usage=usage)
        return self._targets[size]


class VoxelMarch(Renderer):
    """Picks voxel by voxel."""

    def march_code(self) -> str:
        """The shader with the yardstick in the place of `fs_pick`."""
        yardstick = Path(__file__).with_name("voxel_march.wgsl").read_text()
        code = super().march_code().replace("fn fs_pick(", "fn fs_pick_with_skipping(")
        return code + yardstick.replace("fn fs_voxels(", "fn fs_pick(")


def measure(rounds: int, capture: Path | None = None) -> list[Figure]:
    """Figures of the viewer on synthetic guests, or on `capture`; on a GPU also its targets."""
    adapter = request_adapter()
    device = request_device(adapter)
    if capture is not None:
        return measure_capture(device, adapter, rounds, capture)
    small = Stage(device, MadeUpGuest(128 << 20))
    figures = [*measure_update(small, rounds), measure_skipping(small, rounds)]
    figures += measure_motion(small, adapter_name(adapter))
    for name, load, target in (("same load", 1 / 8, "<= 1.3"), ("eight times the load", 1.0, "")):
        large = Stage(device, MadeUpGuest(1 << 30, load))
        figures.append(measure_growth(small, large, rounds, f"frame of 1 GiB / of 128 MiB, {name}", target))
    for stage in (small, large):
        mib = stage.pool.device_bytes / (1 << 20)
        figures.append(Figure(f"device memory for {stage.pool.ram_size >> 20} MiB", mib, "MiB"))
    return figures + ([skipped(adapter)] if is_software(adapter) else measure_gpu(large, adapter))


def measure_capture(device: wgpu.GPUDevice, adapter: wgpu.GPUAdapter, rounds: int, capture: Path) -> list[Figure]:
    """The same figures, except growth, on a capture. Its daemon ends some seconds after its last client."""
    stage = Stage(device, MachineSource(str(capture)))
    figures = [*measure_update(stage, rounds), measure_skipping(stage, rounds)]
    figures += measure_motion(stage, adapter_name(adapter))
    return figures + ([skipped(adapter)] if is_software(adapter) else measure_gpu(stage, adapter))


def measure_growth(small: Stage, large: Stage, rounds: int, name: str, target: str) -> Figure:
    """A frame of 1 GiB against one of 128 MiB, as many pages dirty in both."""

    def frame(stage: Stage) -> float:
        return seconds(lambda: stage.draw_frame(stage.camera, _PICTURE, stage.dirty))

    ours, theirs, ratio = paired_medians(lambda: frame(large), lambda: frame(small), 3 * rounds)
    detail = (
        f"{ours * 1e3:.1f} ms against {theirs * 1e3:.1f} ms, {_DIRTY_PAGES} pages dirty, {_PICTURE[0]}x{_PICTURE[1]}"
    )
    return Figure(name, ratio, "x", target, detail)


def measure_update(stage: Stage, rounds: int) -> list[Figure]:
    """Updating dirty pages, pyramid and all, against nothing but writing the same bytes."""
    queue, view = stage.pool.device.queue, stage.view
    size = len(stage.dirty) * PAGE_BYTES
    plain = stage.pool.device.create_buffer(size=len(view), usage=wgpu.BufferUsage.COPY_DST)
    bytes_in_one = np.ascontiguousarray(view.reshape(-1, PAGE_BYTES)[stage.dirty]).reshape(-1)

    def update() -> None:
        stage.pool.update(view, stage.dirty)
        stage.pool.wait()

    def write_pages() -> None:
        for place in (stage.dirty * PAGE_BYTES).tolist():
            queue.write_buffer(plain, place, view[place : place + PAGE_BYTES])
        stage.pool.wait()

    def write_block() -> None:
        queue.write_buffer(plain, 0, bytes_in_one)
        stage.pool.wait()

    figures = []
    for name, yardstick, target in (
        ("update of dirty pages / write_buffer of each", write_pages, "<= 2"),
        ("update of dirty pages / write_buffer of one block", write_block, ""),
    ):
        ours, theirs, ratio = paired_medians(
            lambda: seconds(update), lambda action=yardstick: seconds(action), 3 * rounds
        )
        detail = f"{ours * 1e6 / len(stage.dirty):.2f} us a page, {size / ours / 1e9:.2f} GB/s against {size / theirs / 1e9:.2f}"
        figures.append(Figure(name, ratio, "x", target, detail))
    return figures


def measure_skipping(stage: Stage, rounds: int) -> Figure:
    """One voxel after another against three levels of skipping, from outside; both see the same pages."""
    naive = VoxelMarch(stage.scene)
    camera = replace(stage.camera, distance=0.6 * stage.camera.distance)  # the box fills the picture

    def pick(renderer: Renderer) -> float:
        def draw() -> None:
            renderer.draw_pick(camera, _PICTURE, (0, 0), _PICTURE)
            stage.pool.wait()

        return seconds(draw)

    one, other = (renderer.pick_pages(camera, _PICTURE) for renderer in (stage.renderer, naive))
    same = float(np.mean(one == other))
    if same < 0.995:
        raise AssertionError(f"skipping shows another picture: {same:.2%} of the pixels agree")
    slow, quick, ratio = paired_medians(lambda: pick(naive), lambda: pick(stage.renderer), max(rounds // 2, 3))
    detail = f"{slow * 1e3:.0f} ms against {quick * 1e3:.1f} ms, {same:.2%} of the pixels agree to the page"
    return Figure("voxel by voxel / three-level skipping", ratio, "x", ">= 20", detail)


def measure_motion(stage: Stage, adapter: str) -> list[Figure]:
    """Frames per second of a camera that turns while the guest writes, at the size that the window would choose."""
    scaler, camera, times = ResolutionScaler(), stage.camera, []
    dirty = stage.dirty[: _DIRTY_PAGES // 8]
    for _ in range(160):
        camera = camera.orbit(2, 0)
        started = time.perf_counter()
        stage.draw_frame(camera, scaler.size(*_WINDOW), dirty)
        times.append(time.perf_counter() - started)
        scaler.add(times[-1])
    width, height = scaler.size(*_WINDOW)
    rate = 1 / statistics.mean(times[-80:])
    detail = f"{width}x{height} in a window of {_WINDOW[0]}x{_WINDOW[1]}, {len(dirty)} pages dirty a frame, {adapter}"
    still = statistics.median(
        seconds(lambda size=size: stage.draw_frame(stage.camera, size, dirty)) for size in [_WINDOW] * 5
    )
    return [
        Figure("frames per second, camera moving", rate, "1/s", ">= 30", detail),
        Figure("pixels per frame, camera moving", width * height, "px"),
        Figure("frame at full size", still * 1e3, "ms", "", f"{_WINDOW[0]}x{_WINDOW[1]}"),
    ]
