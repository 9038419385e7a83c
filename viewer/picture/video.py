"""Video of a machine or a capture as MP4: along a script of views, or of one view for some seconds.

The library functions behind ``glassbox record-video``. Frames are drawn one by one and take what time they need; a running
machine continues meanwhile, and every frame shows its memory at the time when the frame is drawn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import wgpu

from qemu_bridge.host.interrupts import noted_interrupts
from qemu_bridge.wire.picture_records import VideoOptions, VideoResult, validate_fps

from ..render.raymarch import Renderer
from ..render.readback import RGBA, read_texture
from ..render.scene import Scene
from ..sources.comparison import with_difference
from ..sources.machine import MachineSource
from ..sources.source import Source
from ..sources.watcher import MemoryWatcher
from ..view.camera import Camera
from ..view.look import Look
from ..view.views import View, parse_view
from .legend import draw_guide, draw_overlay, find_labels, free_aspect, has_legend, legend_shift
from .mp4 import Mp4, validate_video
from .offscreen import choose_camera, load_scene, show_glow
from .script import Shot, camera_at, parse_script
from .snap import Progress, no_progress

PASSES = 4
"""How often a frame is refined: video hides the grain that a picture at rest would show."""
_BYTES_A_FRAME = 64 << 20
_WORDS_S = 1.0
"""Seconds of video for which words stay as they are while nothing but the guest's memory changes."""


def record_machine(name: str, options: VideoOptions, progress: Progress = no_progress) -> VideoResult:
    """`record_video` of the machine, or the capture's folder, `name`; `UnknownMachineError` if there is none.

    >>> record_machine("demo", VideoOptions("demo.mp4", seconds=2)).frames
    60
    """
    with MachineSource(name, options.against) as source:
        return record_video(source, options, progress)


def record_video(source: Source, options: VideoOptions, progress: Progress = no_progress) -> VideoResult:
    """Write a video of `source`; its comparison, if it has one, is drawn unless `options.at` names another colouring.

    Raises `UsageError` for a wrong view or script, `GraphicsError` without an adapter, and `GlassBoxError` where the file
    cannot be written. Ctrl-C keeps what was recorded.
    """
    started_s, size = time.monotonic(), (options.width, options.height)

    def shots(scene: Scene) -> tuple[Shot, ...]:
        start = View(choose_camera(Renderer(scene), free_aspect(*size)))
        at = options.at if source.comparison is None else with_difference(options.at)
        start = parse_view(at, start) if at else start
        return parse_script(f"{options.seconds} hold" if options.script is None else options.script, start)

    frames = record(
        source, Path(options.output), shots, size=size, fps=options.fps, order=options.order, progress=progress
    )
    elapsed_s = time.monotonic() - started_s
    return VideoResult(options.output, *size, options.fps, frames, frames / options.fps, source.title, elapsed_s)


def record(
    source: Source,
    path: Path,
    shots: Callable[[Scene], tuple[Shot, ...]],
    *,
    size: tuple[int, int] = (1280, 720),
    fps: int = 30,
    order: int | None = None,
    progress: Progress = no_progress,
) -> int:
    """Write the video to `path` and return its number of frames.

    `shots` is called once the scene is loaded, as a first view may depend on its extent; `progress` gets how many frames
    are done, and of how many.
    """
    validate_fps(fps)
    validate_video(path, size)
    scene = load_scene(source, order=order)
    way = shots(scene)
    total = max(round(sum(shot.seconds for shot in way) * fps), 1)
    with noted_interrupts() as is_interrupted, Mp4(path, size, fps) as file:
        for done, picture in enumerate(_frames(source, scene, way, size, fps, total), 1):
            file.write(picture)
            progress(done, total)
            if is_interrupted():
                raise KeyboardInterrupt  # which the file takes as its end
    return total


def _frames(
    source: Source, scene: Scene, shots: tuple[Shot, ...], size: tuple[int, int], fps: int, total: int
) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the pictures, each of the memory as it is by then."""
    renderer = Renderer(scene)
    renderer.shift = legend_shift(*size)
    usage = wgpu.TextureUsage.RENDER_ATTACHMENT | wgpu.TextureUsage.COPY_SRC
    target = scene.device.create_texture(size=(*size, 1), format="rgba8unorm", usage=usage)
    watcher = MemoryWatcher(source, lambda: None)
    watcher.start()
    words = _Words(renderer, size, source.title)
    look: Look | None = None
    glow = ""
    before: Camera | None = None
    try:
        for number in range(total):
            view, camera = camera_at(shots, number / fps)
            if _follow(watcher, scene, source, number / fps):
                words.is_stale = True
            if view.look != look or view.glow != glow:
                if view.glow != glow:
                    show_glow(scene, source, view.glow)
                look, glow = view.look, view.glow
                scene.set_look(look)
                words.are_wrong = True
            after = camera_at(shots, (number + 1) / fps)[1]
            words.update(camera, camera in (before, after), number / fps)
            before = camera
            renderer.restart()
            for _ in range(PASSES):
                renderer.draw_pass(camera, size)
            renderer.present(target.create_view(), size)
            yield np.ascontiguousarray(read_texture(scene.device, target, RGBA)[..., :3])
    finally:
        watcher.stop()


class _Words:
    """What is written over the pictures of a video: the page of `draw_overlay`, labels while the camera rests.

    Attributes:
        is_stale: whether the page map is newer than the words.
        are_wrong: whether they are of another look.
    """

    def __init__(self, renderer: Renderer, size: tuple[int, int], title: str) -> None:
        self.is_stale, self.are_wrong = False, True
        self._renderer, self._size, self._title = renderer, size, title
        self._camera: Camera | None = None
        self._has_labels = False
        self._drawn_s = 0.0

    def update(self, camera: Camera, is_still: bool, time_s: float) -> None:
        """Bring the words up to date for a frame at `time_s` seconds; only the guide is drawn for each step of a camera."""
        scene, size = self._renderer.scene, self._size
        has_labels = scene.look.labels and is_still
        is_due = self.is_stale and time_s - self._drawn_s >= _WORDS_S
        if is_due or self.are_wrong or has_labels is not self._has_labels:
            labels = find_labels(scene, self._renderer.pick_pages(camera, size)) if has_labels else []
            self._renderer.set_overlay(draw_overlay(size, scene, self._title, labels))
            self._has_labels, self._drawn_s = has_labels, time_s
        if (self.are_wrong or camera != self._camera) and has_legend(*size):
            self._renderer.set_box(*(draw_guide(size, scene, camera) if scene.look.labels else (None,)))
        self._camera = camera
        self.is_stale, self.are_wrong = self.is_stale and not is_due, False


def _follow(watcher: MemoryWatcher, scene: Scene, source: Source, time_s: float) -> bool:
    """Take what changed since the last frame; whether the page map did."""
    pages, written = watcher.take_changes(_BYTES_A_FRAME)
    scene.update_pages(source.ram.view, pages, written, time_s)
    page_map = watcher.take_page_map()
    is_new = page_map is not None and scene.set_page_map(page_map)
    scene.advance(source.ram.view, time_s)
    return is_new
