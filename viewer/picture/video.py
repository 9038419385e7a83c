"""Video of a machine or a capture as MP4: along a script of views, or of one view for some seconds.

The library functions behind ``glassbox record-video``. Frames are drawn one by one and take what time they need; a running
machine continues meanwhile, and every frame shows its memory at the time when the frame is drawn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt
import wgpu

from qemu_bridge.host.interrupts import noted_interrupts
from qemu_bridge.wire.picture_records import VideoOptions, VideoResult, validate_fps

from ..render.equal_pages import EqualPages
from ..render.raymarch import Renderer
from ..render.readback import RGBA, read_texture
from ..render.scene import Scene
from ..sources.comparison import with_difference
from ..sources.flows import Arc, FlowWatch
from ..sources.machine import open_machines
from ..sources.source import Source, name_of
from ..sources.watcher import MemoryWatcher
from ..view.camera import Camera
from ..view.look import Look
from ..view.views import View, parse_view
from .arcs import place_arcs
from .legend import (
    are_alike,
    draw_guide,
    draw_overlay,
    find_all_labels,
    free_aspect,
    has_legend,
    legend_shift,
    name_labels,
)
from .mp4 import Mp4, validate_video
from .offscreen import choose_camera, compare_content, load_scenes, show_glows, show_learned, title_of
from .script import Shot, camera_at, parse_script
from .shown_memory import bring
from .snap import Progress, no_progress

PASSES = 4
"""How often a frame is refined: video hides the grain that a picture at rest would show."""
_BYTES_A_FRAME = 64 << 20
_WORDS_S = 1.0
"""Seconds of video for which words stay as they are while nothing but the guest's memory changes."""


def record_machine(
    name: str, options: VideoOptions, progress: Progress = no_progress, reading: Progress = no_progress
) -> VideoResult:
    """`record_video` of the machine, or the capture's folder, `name`; `UnknownMachineError` if there is none.

    >>> record_machine("demo", VideoOptions("demo.mp4", seconds=2)).frames
    60
    """
    return record_machines((name,), options, progress, reading)


def record_machines(
    names: Sequence[str], options: VideoOptions, progress: Progress = no_progress, reading: Progress = no_progress
) -> VideoResult:
    """`record_video` of one machine or more, side by side; `UnknownMachineError` if one is not there.

    Of machines on other hosts memory is read as for `snap_machines`, and what changes of it while the video is recorded.
    """
    with ExitStack() as stack:
        opened = open_machines(names, options.against, is_followed=options.against is None, reading=reading)
        sources = [stack.enter_context(source) for source in opened]
        return record_video(sources[0], options, progress, sources[1:])


def record_video(
    source: Source, options: VideoOptions, progress: Progress = no_progress, others: Sequence[Source] = ()
) -> VideoResult:
    """Write a video of `source`; its comparison, if it has one, is drawn unless `options.at` names another colouring.

    `others` stand beside it. Raises `UsageError` for a wrong view or script, `GraphicsError` without an adapter, and `GlassBoxError` where the file
    cannot be written. Ctrl-C keeps what was recorded.
    """
    started_s, size = time.monotonic(), (options.width, options.height)

    def shots(*scenes: Scene) -> tuple[Shot, ...]:
        start = View(choose_camera(Renderer(*scenes), free_aspect(*size)))
        at = options.at if source.comparison is None else with_difference(options.at)
        start = parse_view(at, start) if at else start
        return parse_script(f"{options.seconds} hold" if options.script is None else options.script, start)

    frames = record(
        source,
        Path(options.output),
        shots,
        size=size,
        fps=options.fps,
        order=options.order,
        progress=progress,
        others=others,
    )
    elapsed_s, title = time.monotonic() - started_s, title_of((source, *others))
    return VideoResult(options.output, *size, options.fps, frames, frames / options.fps, title, elapsed_s)


def record(
    source: Source,
    path: Path,
    shots: Callable[..., tuple[Shot, ...]],
    *,
    size: tuple[int, int] = (1280, 720),
    fps: int = 30,
    order: int | None = None,
    progress: Progress = no_progress,
    others: Sequence[Source] = (),
) -> int:
    """Write the video to `path` and return its number of frames.

    `shots` is called with the scenes once they are loaded, as a first view may depend on their extent; `progress` gets how many
    frames are done, and of how many. `others` stand beside `source`.
    """
    validate_fps(fps)
    validate_video(path, size)
    sources = (source, *others)
    scenes = load_scenes(sources, order, with_bytes=False)
    way = shots(*scenes)
    total = max(round(sum(shot.seconds for shot in way) * fps), 1)
    with noted_interrupts() as is_interrupted, Mp4(path, size, fps) as file:
        for done, picture in enumerate(_frames(sources, scenes, way, size, fps, total), 1):
            file.write(picture)
            progress(done, total)
            if is_interrupted():
                raise KeyboardInterrupt  # which the file takes as its end
    return total


def _frames(
    sources: Sequence[Source],
    scenes: Sequence[Scene],
    shots: tuple[Shot, ...],
    size: tuple[int, int],
    fps: int,
    total: int,
) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the pictures, each of the memory as it is by then."""
    renderer = Renderer(*scenes)
    renderer.shift = legend_shift(*size)
    usage = wgpu.TextureUsage.RENDER_ATTACHMENT | wgpu.TextureUsage.COPY_SRC
    target = renderer.device.create_texture(size=(*size, 1), format="rgba8unorm", usage=usage)
    flows = FlowWatch([name_of(source) for source in sources], lambda: None)
    for scene in scenes:
        scene.set_look(camera_at(shots, 0.0)[0].look)
    bring(scenes, sources)  # before watchers do, who would want all of memory
    watchers = [MemoryWatcher(source, lambda: None) for source in sources]
    for watcher in watchers:
        watcher.start()
    if len(sources) > 1:
        flows.start()
    words = _Words(renderer, size, title_of(sources))
    equal = EqualPages()
    look: Look | None = None
    glow = ""
    before: Camera | None = None
    try:
        for number in range(total):
            view, camera = camera_at(shots, number / fps)
            for watcher, scene, source in zip(watchers, scenes, sources, strict=True):
                if _follow(watcher, scene, source, number / fps):
                    words.is_stale = True
                    bring([scene], [source])
                if len(scenes) > 1 and watcher.error is not None and not scene.is_ended:
                    scene.is_ended = words.are_wrong = True
            equal.update(scenes, [source.ram.view for source in sources], number / fps)
            if view.look != look or view.glow != glow:
                if view.glow != glow:
                    show_glows(scenes, sources, view.glow)
                for scene in scenes:
                    scene.set_look(view.look)
                bring(scenes, sources)
                compare_content(scenes, sources)
                show_learned(scenes, sources)
                look, glow = view.look, view.glow
                words.are_wrong = True
            after = camera_at(shots, (number + 1) / fps)[1]
            words.update(camera, camera in (before, after), number / fps, flows.arcs())
            before = camera
            renderer.restart()
            for _ in range(PASSES):
                renderer.draw_pass(camera, size)
            renderer.present(target.create_view(), size)
            yield np.ascontiguousarray(read_texture(renderer.device, target, RGBA)[..., :3])
    finally:
        for watcher in watchers:
            watcher.stop()
        flows.stop()


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
        self._has_labels = self._has_arcs = False
        self._drawn_s = 0.0

    def update(self, camera: Camera, is_still: bool, time_s: float, arcs: Sequence[Arc] = ()) -> None:
        """Bring the words up to date for a frame at `time_s` seconds.

        For each step of a camera the guide is drawn again, and over several machines, whose names go with them, all words.
        """
        scenes, size = self._renderer.scenes, self._size
        has_moved = camera != self._camera
        has_labels = scenes[0].look.labels and is_still
        is_due = self.is_stale and time_s - self._drawn_s >= _WORDS_S
        is_due |= len(scenes) > 1 and (has_moved or bool(arcs) or self._has_arcs)
        if is_due or self.are_wrong or has_labels is not self._has_labels:
            labels = find_all_labels(scenes, self._renderer.pick(camera, size)) if has_labels else []
            names = name_labels(scenes, camera, size, self._renderer.shift)
            placed = place_arcs(scenes, arcs, camera, size, self._renderer.shift)
            overlay = draw_overlay(size, scenes[0], self._title, labels, others=scenes[1:], names=names, arcs=placed)
            self._has_arcs = bool(arcs)
            self._renderer.set_overlay(overlay)
            self._has_labels, self._drawn_s = has_labels, time_s
        if (self.are_wrong or has_moved) and has_legend(*size):
            is_guided = scenes[0].look.labels and are_alike(scenes)
            self._renderer.set_box(*(draw_guide(size, scenes[0], camera) if is_guided else (None,)))
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
