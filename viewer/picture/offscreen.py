"""Pictures without a display: a scene rendered into memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import wgpu

from gpu_device.device import request_device
from qemu_bridge.errors import UsageError
from qemu_bridge.memory.addresses import PAGE_SIZE

from ..render.equal_pages import EqualPages
from ..render.raymarch import PASSES, Renderer
from ..render.readback import RGBA, read_texture
from ..render.scene import Scene, content_around, stand_side_by_side
from ..sources.flows import Arc
from ..sources.learned import ask_learned
from ..sources.source import Ram, Source, name_of, read_page_map
from ..sources.targets import find_pages
from ..view.camera import Camera, default_camera
from ..view.look import Mode
from ..view.views import View
from .arcs import place_arcs
from .legend import draw_overlay, find_all_labels, free_aspect, legend_shift, name_labels

log = logging.getLogger(__name__)

_FRONT = Camera(yaw=18.0)


def load_scene(
    source: Source, device: wgpu.GPUDevice | None = None, order: int | None = None, *, with_bytes: bool = True
) -> Scene:
    """A scene that shows all of `source` as it is now; without bytes what its page map says."""
    scene = Scene(device or request_device(), len(source.ram.view), order)
    page_map = read_page_map(source)
    for sentence in page_map.skipped:
        log.warning("%s", sentence)
    scene.set_page_map(page_map)
    if with_bytes:
        scene.update_ram(source.ram)
    if source.comparison is not None:
        scene.set_difference(source.comparison.kinds)
    return scene


def load_scenes(sources: Sequence[Source], order: int | None = None, *, with_bytes: bool = True) -> list[Scene]:
    """`load_scene` of each of `sources`, side by side, on one device."""
    device = request_device()
    scenes = [load_scene(source, device, order, with_bytes=with_bytes) for source in sources]
    stand_side_by_side(scenes, [name_of(source) for source in sources])
    return scenes


def title_of(sources: Sequence[Source]) -> str:
    """The title of a picture of `sources`: their names, and after dots what is true of all of them."""
    names, rests = [name_of(source) for source in sources], [source.title.split(" · ")[1:] for source in sources]
    shared = [part for part in rests[0] if all(part in rest for rest in rests)]
    each = " each" if len(sources) > 1 else ""
    return " · ".join([", ".join(names), *(part + each * part.endswith("RAM") for part in shared)])


def choose_camera(renderer: Renderer, aspect: float = 1.6) -> Camera:
    """The view from above a corner that shows the most: every class counts, by the share of its pages in sight.

    Several machines are seen from the front, where they stand beside each other. What catches the eye fills the middle of a picture of this width / height. Eight corners of the compass are tried at low resolution, which takes a fraction of a second.
    """
    if len(renderer.scenes) > 1:
        return _FRONT.framing(*content_around(renderer.scenes), aspect)
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
    others: Sequence[Scene] = (),
    arcs: Sequence[Arc] = (),
) -> npt.NDArray[np.uint8]:
    """The picture of `scene`: sRGB, `uint8` of shape (height, width, 3).

    `size` is (width, height) in pixels; `passes` is how often it is refined; `with_words` adds legend and labels; `on_pass` is
    told after each pass how many are drawn. `others` stand beside it, and `arcs` are drawn between them.
    """
    scenes = (scene, *others)
    renderer = Renderer(*scenes)
    camera = camera or choose_camera(renderer, free_aspect(*size))
    if with_words:
        renderer.shift = legend_shift(*size)
        labels = find_all_labels(scenes, renderer.pick(camera, size)) if scene.look.labels else []
        over = name_labels(scenes, camera, size, renderer.shift)
        guided, placed = camera if scene.look.labels else None, place_arcs(scenes, arcs, camera, size, renderer.shift)
        overlay = draw_overlay(size, scene, title, labels, camera=guided, others=others, names=over, arcs=placed)
        renderer.set_overlay(overlay)
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
        log.warning("%s: %s has no memory now; nothing stands out", name_of(source), target)
    scene.highlight(pages, title=target)


def show_glows(scenes: Sequence[Scene], sources: Sequence[Source], target: str) -> None:
    """`show_glow` in all `scenes`; a machine that does not know the target is named in the log, `UsageError` if none knows it."""
    errors: list[UsageError] = []
    for scene, source in zip(scenes, sources, strict=True):
        try:
            show_glow(scene, source, target)
        except UsageError as error:
            errors.append(error)
            if len(errors) == len(sources):
                raise errors[0] from None
            log.warning("%s: %s", name_of(source), error)


def compare_content(scenes: Sequence[Scene], sources: Sequence[Source]) -> None:
    """Let a look that colours pages which are equal in several machines have its values worked out."""
    equal, rams = EqualPages(period_s=0), [source.ram.view for source in sources]
    while equal.update(scenes, rams, 0.0):
        pass


def show_learned(scenes: Sequence[Scene], sources: Sequence[Source]) -> None:
    """Let a look that colours the code of learned loops have what is known of them; a machine without a daemon has none."""
    for scene, source in zip(scenes, sources, strict=True):
        if scene.look.mode is Mode.LEARNED and source.connect is not None:
            with source.connect() as client:
                scene.set_learned(ask_learned(client, source))


def work_out_entropy(scene: Scene, ram: Ram) -> None:
    """Let a look that colours by entropy have the values of all pages whose bytes were drawn."""
    while scene.look.mode is Mode.ENTROPY and scene.page_style.entropy.is_stale:
        scene.advance(ram.view, 0.0)


def show_view(scene: Scene, ram: Ram, view: View) -> None:
    """Let `scene` look as `view` says; `UsageError` for a pin outside RAM."""
    scene.set_look(view.look)
    if view.pin is not None:
        if view.pin >= len(ram.view):
            raise UsageError(f"RAM has no byte {view.pin:#x}; it ends at {len(ram.view):#x}")
        scene.select(np.array([view.pin // PAGE_SIZE]))
    if view.look.mode in (Mode.AGE, Mode.WRITES):
        log.warning("one picture shows no writes; open a window, or record a video, to see them")
