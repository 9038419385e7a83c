"""The renderer: runs ``raymarch.wgsl`` over a scene and presents the picture, in a window and offscreen.

A picture is refined: every pass draws the whole picture once with another offset inside the pixel and
other random directions for shadow and ambient rays, and is averaged with the passes before it in a
16-bit float texture. One pass is a clean picture without soft shadows; sixteen are smooth.

Several scenes are several machines side by side. Each is marched alone, over the part of the picture that its box covers, and
painted over those behind it; what that gives is the pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import wgpu

from ..view import palette
from ..view.camera import FIELD_OF_VIEW, Camera
from ..view.class_masks import body_mask, solid_mask, visible_mask
from ..view.look import Look, Mode, value_ramp
from ..view.placement import far_to_near, outline_in_picture
from ..view.tiles import Rectangle
from .curve_jobs import SHADERS
from .page_table import LIT_CELL
from .readback import read_texture
from .scene import Scene
from .stopwatch import Stopwatch

PASSES = 24
"""Passes of a picture at rest: more change it by less than eye or file can tell."""
_FORMAT = "rgba16float"
_SHADING, _OWNER_EDGES, _MARKS, _ENDED = 1, 2, 4, 8
_CLASS, _BYTES, _VALUE, _ACTIVITY = range(4)

_VIEW = np.dtype(
    [(name, "<f4", 4) for name in ("eye", "right", "up", "forward", "light", "extent")]
    + [("size", "<f4", 2), ("jitter", "<f4", 2)]
    + [(name, "<u4") for name in ("visible", "bodies", "solids", "flags")]
    + [("pages", "<u4", 4), ("low", "<u4", 3), ("mode", "<u4"), ("tone", "<f4", 4)]
)
# Averaging is blending by a constant: 1 / (number of passes) of the new one.
_BY_CONSTANT = {"src_factor": "constant", "dst_factor": "one-minus-constant", "operation": "add"}
_AVERAGE: dict[str, Any] = {"format": _FORMAT, "blend": {"color": _BY_CONSTANT, "alpha": _BY_CONSTANT}}
_PRESENT = np.dtype(
    [(name, "<f4", 2) for name in ("target_size", "picture_size", "overlay_size", "box_corner", "box_size", "pad")]
)


def _offset(number: int) -> tuple[float, float]:
    """Offset inside the pixel of a pass: the R2 sequence (M. Roberts, 2018), the middle first."""
    return (0.7548776662 * number + 0.5) % 1 - 0.5, (0.5698402910 * number + 0.5) % 1 - 0.5


@dataclass(frozen=True, slots=True)
class Picks:
    """What pixels show; arrays of shape (height, width).

    Attributes:
        pages: page numbers of the RAM file, -1 for empty space and empty glass.
        offsets: byte offsets in those pages; the first byte of the voxel where voxels are coarse.
        distances: from the eye, in units of length; 0 where there is no page.
        scenes: which of the renderer's scenes; 0 where there is no page.
    """

    pages: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    distances: npt.NDArray[np.float32]
    scenes: npt.NDArray[np.int64]

    def pages_of(self, scene: int) -> npt.NDArray[np.int64]:
        """The pages that show of one scene, -1 where another one or none does."""
        return np.where(self.scenes == scene, self.pages, -1)


@dataclass
class _March:
    """One scene's way into the picture: its pipelines by entry point, its bindings, and what the shader is told."""

    scene: Scene
    group: wgpu.GPUBindGroup
    pipelines: dict[str, wgpu.GPURenderPipeline]
    view_buffer: wgpu.GPUBuffer
    palette: wgpu.GPUBuffer
    palette_look: Look | None = None
    view: npt.NDArray[np.void] = field(default_factory=lambda: np.zeros(1, _VIEW))


class Renderer:
    """Pipelines, uniforms and textures to draw scenes, which stand where `stand_side_by_side` placed them.

    Attributes:
        scenes: what is drawn.
        passes: how many passes the present picture is the average of.
        stopwatch: tells how long passes took.
        shift: lens shift, in half pictures, that leaves space for the legend.
    """

    def __init__(self, *scenes: Scene, target_format: str = "rgba8unorm") -> None:
        """Draw one scene or more, all of one device."""
        self.scenes = scenes
        self.device = scenes[0].device
        self.passes = 0
        self.stopwatch = Stopwatch(self.device)
        self.shift = (0.0, 0.0)
        uniform = wgpu.BufferUsage.UNIFORM | wgpu.BufferUsage.COPY_DST
        self._present_buffer = self.device.create_buffer(size=_PRESENT.itemsize, usage=uniform)
        # Machines of one size are drawn by the same code, which is compiled once.
        built: dict[str, tuple[wgpu.GPUBindGroupLayout, dict[str, wgpu.GPURenderPipeline]]] = {}
        self._marches = [self._build_march(scene, built) for scene in scenes]
        if len(scenes) > 1:
            self._build_layer()
        self._build_present(target_format)
        self._overlay = self._texture((1, 1), "rgba8unorm")
        self._overlay_size = (0, 0)
        self._box, self._box_size, self._box_corner = self._overlay, (0, 0), (0, 0)
        self._picture: Any = None

    @property
    def scene(self) -> Scene:
        """The first scene."""
        return self.scenes[0]

    def _build_march(
        self, scene: Scene, built: dict[str, tuple[wgpu.GPUBindGroupLayout, dict[str, wgpu.GPURenderPipeline]]]
    ) -> _March:
        uniform = wgpu.BufferUsage.UNIFORM | wgpu.BufferUsage.COPY_DST
        view_buffer = self.device.create_buffer(size=_VIEW.itemsize, usage=uniform)
        palette_buffer = self.device.create_buffer(size=palette.TABLE.itemsize, usage=uniform)
        bindings = [
            ("uniform", view_buffer),
            ("uniform", palette_buffer),
            ("read-only-storage", scene.page_table.buffer),
            ("read-only-storage", scene.page_table.cell_buffer),
            ("read-only-storage", scene.page_style.buffer),
        ]
        code = scene.pool.shader_code(len(bindings)) + self.march_code()
        bindings += scene.pool.bindings()
        if code not in built:
            built[code] = self._compile([kind for kind, _ in bindings], code)
        layout, pipelines = built[code]
        group = self.device.create_bind_group(
            layout=layout,
            entries=[{"binding": n, "resource": {"buffer": buffer}} for n, (_, buffer) in enumerate(bindings)],
        )
        return _March(scene, group, pipelines, view_buffer, palette_buffer)

    def _compile(
        self, kinds: list[str], code: str
    ) -> tuple[wgpu.GPUBindGroupLayout, dict[str, wgpu.GPURenderPipeline]]:
        layout = self.device.create_bind_group_layout(
            entries=[
                {"binding": n, "visibility": wgpu.ShaderStage.FRAGMENT, "buffer": {"type": kind}}
                for n, kind in enumerate(kinds)
            ]
        )
        module = self.device.create_shader_module(code=code)
        over = {"src_factor": "one", "dst_factor": "one-minus-src-alpha", "operation": "add"}
        targets: dict[str, dict[str, Any]] = {"fs_pick": {"format": "rgba32uint"}}
        if len(self.scenes) == 1:
            targets["fs_main"] = _AVERAGE
        else:
            targets |= {
                "fs_over": {"format": _FORMAT, "blend": {"color": over, "alpha": over}},
                "fs_background": {"format": _FORMAT},
            }
        return layout, {entry: self._pipeline(layout, module, entry, target) for entry, target in targets.items()}

    def _build_layer(self) -> None:
        texture = {"sample_type": "unfilterable-float", "view_dimension": "2d"}
        self._layer_layout = self.device.create_bind_group_layout(
            entries=[{"binding": 0, "visibility": wgpu.ShaderStage.FRAGMENT, "texture": texture}]
        )
        module = self.device.create_shader_module(code=(SHADERS / "layer.wgsl").read_text())
        self._lay = self._pipeline(self._layer_layout, module, "fs_main", _AVERAGE)
        self._layer: Any = None

    def march_code(self) -> str:
        """WGSL of the march; a benchmark puts another in its place."""
        return (SHADERS / "raymarch.wgsl").read_text()

    def _build_present(self, target_format: str) -> None:
        texture = {"sample_type": "float", "view_dimension": "2d"}
        self._present_layout = self.device.create_bind_group_layout(
            entries=[
                {"binding": 0, "visibility": wgpu.ShaderStage.FRAGMENT, "buffer": {"type": "uniform"}},
                {"binding": 1, "visibility": wgpu.ShaderStage.FRAGMENT, "texture": texture},
                {"binding": 2, "visibility": wgpu.ShaderStage.FRAGMENT, "texture": texture},
                {"binding": 3, "visibility": wgpu.ShaderStage.FRAGMENT, "texture": texture},
            ]
        )
        module = self.device.create_shader_module(code=(SHADERS / "present.wgsl").read_text())
        self._present = self._pipeline(self._present_layout, module, "fs_main", {"format": target_format})

    def _pipeline(
        self, layout: wgpu.GPUBindGroupLayout, module: wgpu.GPUShaderModule, entry: str, target: dict[str, Any]
    ) -> wgpu.GPURenderPipeline:
        return self.device.create_render_pipeline(
            layout=self.device.create_pipeline_layout(bind_group_layouts=[layout]),
            vertex={"module": module, "entry_point": "vs_main"},
            primitive={"topology": "triangle-list"},
            fragment={"module": module, "entry_point": entry, "targets": [target]},
        )

    def _texture(self, size: tuple[int, int], texture_format: str) -> wgpu.GPUTexture:
        usage = wgpu.TextureUsage.RENDER_ATTACHMENT | wgpu.TextureUsage.TEXTURE_BINDING
        usage |= wgpu.TextureUsage.COPY_DST | wgpu.TextureUsage.COPY_SRC
        return self.device.create_texture(size=(*size, 1), format=texture_format, usage=usage)

    def set_overlay(self, image: npt.NDArray[np.uint8] | None) -> None:
        """Lay `image`, premultiplied RGBA of shape (height, width, 4), over the picture's top left; None for nothing."""
        if image is None:
            self._overlay_size = (0, 0)
            return
        self._overlay, self._overlay_size = self._upload_image(image), image.shape[1::-1]

    def set_box(self, image: npt.NDArray[np.uint8] | None, corner: tuple[int, int] = (0, 0)) -> None:
        """Lay a small `image`, premultiplied RGBA, over everything at `corner` (x, y); None for nothing."""
        if image is None:
            self._box_size = (0, 0)
            return
        self._box, self._box_size, self._box_corner = self._upload_image(image), image.shape[1::-1], corner

    def _upload_image(self, image: npt.NDArray[np.uint8]) -> wgpu.GPUTexture:
        height, width = image.shape[:2]
        texture = self._texture((width, height), "rgba8unorm")
        layout = {"offset": 0, "bytes_per_row": 4 * width, "rows_per_image": height}
        self.device.queue.write_texture({"texture": texture}, np.ascontiguousarray(image), layout, (width, height, 1))
        return texture

    def _write_view(self, march: _March, camera: Camera, size: tuple[int, int], number: int, soft: bool) -> None:
        view, scene = march.view[0], march.scene
        width, height = size
        tangent = math.tan(math.radians(FIELD_OF_VIEW / 2))
        right, up, forward = camera.axes()
        view["eye"] = (*((camera.eye() - scene.origin) * scene.unit), scene.edge)
        view["right"] = (*(right * tangent * width / height), self.shift[0])
        view["up"] = (*(up * tangent), self.shift[1])
        view["forward"] = (*forward, 2 * tangent / height)
        view["light"] = (*self._light(right, up, forward), float(soft))
        view["extent"] = (*scene.extent, number)
        view["size"], view["jitter"] = size, _offset(number)
        view["visible"], view["bodies"], view["solids"] = (
            visible_mask(scene.look),
            int(LIT_CELL) | body_mask(scene.look),
            solid_mask(scene.look),
        )
        self._apply_look(march)
        self.device.queue.write_buffer(march.view_buffer, 0, march.view)

    def _apply_look(self, march: _March) -> None:
        view, scene, look = march.view[0], march.scene, march.scene.look
        tone = look.transfer
        low, past = look.box.in_pages(scene.extent)
        view["low"], view["pages"] = low, (*(b - a for a, b in zip(low, past, strict=True)), 0)
        view["light"][3] *= look.shading
        view["flags"] = _SHADING * look.shading | _OWNER_EDGES * look.owner_edges | _MARKS * scene.page_style.has_marks
        view["flags"] |= _ENDED * scene.is_ended
        modes = {Mode.CLASS: _CLASS, Mode.BYTES: _BYTES}
        view["mode"] = modes.get(look.mode, _ACTIVITY if look.mode.is_activity else _VALUE)
        # With no opacity no byte is drawn; a byte of zero never is.
        view["tone"] = (max(tone.low, 1) if tone.opacity else 256, tone.high, tone.gamma, tone.opacity)
        if look != march.palette_look:
            march.palette_look = look
            table = palette.table(look.palette, look.dimmed, value_ramp(look), all_glass=look.mode.is_activity)
            self.device.queue.write_buffer(march.palette, 0, table)

    @staticmethod
    def _light(
        right: npt.NDArray[np.float64], up: npt.NDArray[np.float64], forward: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        # The light follows the eye about the vertical axis, so visible faces are always lit the same.
        level = np.array([-forward[0], 0.0, -forward[2]])
        level /= max(float(np.linalg.norm(level)), 1e-6)
        toward = np.array([0.0, 0.78, 0.0]) - 0.42 * right + 0.46 * level
        return np.asarray(toward / np.linalg.norm(toward))

    def restart(self) -> None:
        """Forget the picture: something moved."""
        self.passes = 0

    def draw_pass(
        self,
        camera: Camera,
        size: tuple[int, int],
        soft: bool = True,
        min_weight: float = 0.0,
        parts: list[Rectangle] | None = None,
    ) -> None:
        """Add one pass of `size` (width, height) pixels to the picture; the first after `restart` replaces it.

        `soft` casts shadow and ambient rays. `min_weight` is the least weight of this pass in the average: an eighth lets
        the picture fade to changed memory without flicker. Only `parts` are drawn; None for everything.
        """
        if self._picture is None or self._picture.size[:2] != size:
            self._picture, self.passes, parts = self._texture(size, _FORMAT), 0, None
        for march in self._marches:
            self._write_view(march, camera, size, self.passes, soft)
        weight = max(1 / (self.passes + 1), min_weight)
        encoder = self.device.create_command_encoder()
        whole = [(0, 0, *size)] if parts is None else parts
        if len(self._marches) > 1:
            self._paint_layer(encoder, camera, size, whole)
        attachment = {
            "view": self._picture.create_view(),
            "load_op": "load" if self.passes else "clear",
            "store_op": "store",
        }
        stamps = self.stopwatch.begin() if len(self._marches) == 1 else {}
        render = encoder.begin_render_pass(color_attachments=[attachment], **stamps)
        if len(self._marches) == 1:
            render.set_pipeline(self._marches[0].pipelines["fs_main"])
            render.set_bind_group(0, self._marches[0].group)
        else:
            render.set_pipeline(self._lay)
            render.set_bind_group(0, self._layer_group)
        render.set_blend_constant((weight, weight, weight, weight))
        for part in whole:
            render.set_scissor_rect(*part)
            render.draw(3)
        render.end()
        self.stopwatch.resolve(encoder)
        self.device.queue.submit([encoder.finish()])
        self.stopwatch.submitted()
        self.passes += 1

    def _paint_layer(
        self, encoder: wgpu.GPUCommandEncoder, camera: Camera, size: tuple[int, int], parts: list[Rectangle]
    ) -> None:
        """One pass of all scenes into a texture of their own, the farthest first."""
        if self._layer is None or self._layer.size[:2] != size:
            self._layer = self._texture(size, _FORMAT)
            self._layer_group = self.device.create_bind_group(
                layout=self._layer_layout, entries=[{"binding": 0, "resource": self._layer.create_view()}]
            )
        attachment = {"view": self._layer.create_view(), "load_op": "clear", "store_op": "store"}
        render = encoder.begin_render_pass(color_attachments=[attachment], **self.stopwatch.begin())
        render.set_pipeline(self._marches[0].pipelines["fs_background"])
        render.set_bind_group(0, self._marches[0].group)
        render.draw(3)
        for number in far_to_near(np.array([scene.origin for scene in self.scenes]), camera.eye()):
            march = self._marches[number]
            render.set_pipeline(march.pipelines["fs_over"])
            render.set_bind_group(0, march.group)
            for part in self._covered(march.scene, camera, size, parts):
                render.set_scissor_rect(*part)
                render.draw(3)
        render.end()

    def _covered(
        self, scene: Scene, camera: Camera, size: tuple[int, int], parts: list[Rectangle]
    ) -> Iterator[Rectangle]:
        """Yield what of `parts` the box of a scene covers."""
        found = outline_in_picture(camera, *scene.ram_box(), size, self.shift)
        left, top, right, bottom = (0.0, 0.0, *map(float, size)) if found is None else found
        for x, y, width, height in parts:
            # The wire around the box is a pixel wide.
            x0, y0 = max(x, math.floor(left) - 2), max(y, math.floor(top) - 2)
            x1, y1 = min(x + width, math.ceil(right) + 2), min(y + height, math.ceil(bottom) + 2)
            if x1 > x0 and y1 > y0:
                yield x0, y0, x1 - x0, y1 - y0

    def present(self, target_view: wgpu.GPUTextureView, size: tuple[int, int]) -> None:
        """Scale the picture onto `target_view`, of `size` pixels, and lay the overlay over it."""
        data = np.zeros(1, _PRESENT)
        data["target_size"], data["picture_size"], data["overlay_size"] = (
            size,
            self._picture.size[:2],
            self._overlay_size,
        )
        data["box_corner"], data["box_size"] = self._box_corner, self._box_size
        self.device.queue.write_buffer(self._present_buffer, 0, data)
        resources = [
            {"buffer": self._present_buffer},
            *(texture.create_view() for texture in (self._picture, self._overlay, self._box)),
        ]
        group = self.device.create_bind_group(
            layout=self._present_layout,
            entries=[{"binding": n, "resource": resource} for n, resource in enumerate(resources)],
        )
        encoder = self.device.create_command_encoder()
        render = encoder.begin_render_pass(
            color_attachments=[{"view": target_view, "load_op": "clear", "store_op": "store"}]
        )
        render.set_pipeline(self._present)
        render.set_bind_group(0, group)
        render.draw(3)
        render.end()
        self.device.queue.submit([encoder.finish()])

    def pick(
        self,
        camera: Camera,
        size: tuple[int, int],
        corner: tuple[int, int] = (0, 0),
        region: tuple[int, int] | None = None,
    ) -> Picks:
        """What each pixel of a picture of `size` shows, or those of a `region` (width, height) at `corner` (x, y)."""
        found = [self._pick_in(number, camera, size, corner, region or size) for number in range(len(self.scenes))]
        picks = found[0]
        for other in found[1:]:
            is_nearer = (other.pages >= 0) & ((picks.pages < 0) | (other.distances < picks.distances))
            for name in ("pages", "offsets", "distances", "scenes"):
                np.copyto(getattr(picks, name), getattr(other, name), where=is_nearer)
        return picks

    def _pick_in(
        self, number: int, camera: Camera, size: tuple[int, int], corner: tuple[int, int], region: tuple[int, int]
    ) -> Picks:
        target = self.draw_pick(camera, size, corner, region, number)
        texels = read_texture(self.device, target, np.dtype(("<u4", 4)))
        distances = np.ascontiguousarray(texels[..., 2]).view(np.float32) / np.float32(self.scenes[number].unit)
        pages, offsets = texels[..., 0].astype(np.int64) - 1, texels[..., 1].astype(np.int64)
        return Picks(pages, offsets, distances, np.full(pages.shape, number))

    def draw_pick(
        self,
        camera: Camera,
        size: tuple[int, int],
        corner: tuple[int, int],
        region: tuple[int, int],
        scene: int = 0,
    ) -> wgpu.GPUTexture:
        """Begin a pick in one of the scenes; the texture returned will hold what the shader's `fs_pick` says."""
        march = self._marches[scene]
        self._write_view(march, camera, size, 0, False)
        march.view["jitter"] = corner
        self.device.queue.write_buffer(march.view_buffer, 0, march.view)
        target = self._texture(region, "rgba32uint")
        encoder = self.device.create_command_encoder()
        attachment = {"view": target.create_view(), "load_op": "clear", "store_op": "store"}
        render = encoder.begin_render_pass(color_attachments=[attachment])
        render.set_pipeline(march.pipelines["fs_pick"])
        render.set_bind_group(0, march.group)
        render.draw(3)
        render.end()
        self.device.queue.submit([encoder.finish()])
        return target

    def pick_pages(self, camera: Camera, size: tuple[int, int]) -> npt.NDArray[np.int64]:
        """Which page of its RAM file each pixel shows: `int64` of shape (height, width), -1 for empty space and empty glass."""
        return self.pick(camera, size).pages
