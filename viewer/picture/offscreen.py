"""Pictures without a display: a scene rendered into memory."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import wgpu

from gpu_device.device import request_device
from qemu_bridge.errors import UsageError
from qemu_bridge.memory.addresses import PAGE_SIZE

from ..render.raymarch import PASSES, Renderer
from ..render.readback import RGBA, read_texture
from ..render.scene import Scene
from ..sources.source import Ram, Source, read_page_map
from ..sources.targets import find_pages
from ..view.camera import Camera, default_camera
from ..view.look import Mode
from ..view.views import View
from .legend import draw_overlay, find_labels, free_aspect, legend_shift

log = logging.getLogger(__name__)


def load_scene(source: Source, device: wgpu.GPUDevice | None = None, order: int | None = None) -> Scene:
    """A scene that shows all of `source` as it is now."""
    scene = Scene(device or request_device(), len(source.ram.view), order)
    page_map = read_page_map(source)
    for sentence in page_map.skipped:
        log.warning("%s", sentence)
    scene.set_page_map(page_map)
    scene.update_ram(source.ram)
    if source.comparison is not None:
        scene.set_difference(source.comparison.kinds)
    return scene


def choose_camera(renderer: Renderer, aspect: float = 1.6) -> Camera:
    """The view from above a corner that shows the most: every class counts, by the share of its pages in sight.

    What catches the eye fills the middle of a picture of this width / height. Eight corners of the compass are tried at low resolution, which takes a fraction of a second.
    """
    scene = renderer.scene
    start, box = default_camera(scene.relative_extent), scene.content_box()
    if scene.page_map is None:
        return start
    page_class = scene.page_map.entries["page_class"]
    total = np.bincount(page_class, minlength=256)

    def score(camera: Camera) -> float:
        seen = np.unique(renderer.pick_pages(camera, (320, 180)))
        classes = np.bincount(page_class[seen[seen >= 0]], minlength=256)
        return float(np.sqrt(classes / np.maximum(total, 1)).sum())

    turns = (0, 20, 90, 110, 180, 200, 270, 290)
    return max((start.orbit(turn, 0).framing(*box, aspect) for turn in turns), key=score)


def render_scene(
    scene: Scene,
    size: tuple[int, int],
    *,
    camera: Camera | None = None,
    title: str = "",
    passes: int = PASSES,
    with_words: bool = True,
    on_pass: Callable[[int], None] = lambda done: None,
) -> npt.NDArray[np.uint8]:
    """The picture of `scene`: sRGB, `uint8` of shape (height, width, 3).

    `size` is (width, height) in pixels; `passes` is how often it is refined; `with_words` adds legend and labels; `on_pass` is
    told after each pass how many are drawn.
    """
    renderer = Renderer(scene)
    camera = camera or choose_camera(renderer, free_aspect(*size))
    if with_words:
        renderer.shift = legend_shift(*size)
        labels = find_labels(scene, renderer.pick_pages(camera, size)) if scene.look.labels else []
        renderer.set_overlay(draw_overlay(size, scene, title, labels, camera=camera if scene.look.labels else None))
    for done in range(1, passes + 1):
        renderer.draw_pass(camera, size)
        on_pass(done)
    usage = wgpu.TextureUsage.RENDER_ATTACHMENT | wgpu.TextureUsage.COPY_SRC
    target = scene.device.create_texture(size=(*size, 1), format="rgba8unorm", usage=usage)
    renderer.present(target.create_view(), size)
    return np.ascontiguousarray(read_texture(scene.device, target, RGBA)[..., :3])


def show_glow(scene: Scene, source: Source, target: str) -> None:
    """Let the memory of `target` stand out, nothing for an empty one; `UsageError` for a wrong one."""
    pages = find_pages(source, target, scene.page_count) if target else np.zeros(0, np.int64)
    if target and not len(pages):
        log.warning("%s has no memory now; nothing stands out", target)
    scene.highlight(pages, title=target)


def show_view(scene: Scene, ram: Ram, view: View) -> None:
    """Let `scene` look as `view` says, its values worked out; `UsageError` for a pin outside RAM."""
    scene.set_look(view.look)
    if view.pin is not None:
        if view.pin >= len(ram.view):
            raise UsageError(f"RAM has no byte {view.pin:#x}; it ends at {len(ram.view):#x}")
        scene.select(np.array([view.pin // PAGE_SIZE]))
    if view.look.mode in (Mode.AGE, Mode.WRITES):
        log.warning("one picture shows no writes; open a window, or record a video, to see them")
    while view.look.mode is Mode.ENTROPY and scene.page_style.entropy.is_stale:
        scene.advance(ram.view, 0.0)
