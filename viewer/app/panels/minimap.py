"""The flat map in a corner of the picture: all of RAM at once, a pixel a page. Hover shows the page, a click flies there.

Pages that are in view have their full colour, the others are darker; the selected page has a frame.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import wgpu
from imgui_bundle import imgui
from wgpu.utils.imgui.imgui_backend import ImguiWgpuBackend

from qemu_bridge.memory.addresses import PAGE_SHIFT, PAGE_SIZE
from viewer.app import navigation, selection
from viewer.app.pick import describe_byte, pick_lines
from viewer.app.state import ViewerState
from viewer.picture.legend import HALO
from viewer.picture.minimap import Minimap, page_to_xy, xy_to_page
from viewer.render.scene import Scene

from .layout import Layout
from .theme import QUIET, TEXT, packed, plain

SIDE, MARGIN = 220.0, 12.0
UNSEEN = 0.55
TITLE = "all of RAM"
LEAST_TEXELS = 512
_WINDOW = (
    imgui.WindowFlags_.no_decoration
    | imgui.WindowFlags_.no_move
    | imgui.WindowFlags_.no_saved_settings
    | imgui.WindowFlags_.no_nav
    | imgui.WindowFlags_.no_focus_on_appearing
)


class MapTexture:
    """The map as a texture of ImGui's, uploaded only when colours, or what is in view, changed."""

    def __init__(self, backend: ImguiWgpuBackend) -> None:
        self._backend = backend
        self._scene: Scene | None = None
        self._reference: imgui.ImTextureRef | None = None
        self._key: object = None
        self.uploads = 0

    def show(self, scene: Scene, in_view: npt.NDArray[np.int64]) -> imgui.ImTextureRef:
        """The texture of `scene`'s map, up to date; pages not `in_view` are darker unless that is empty."""
        if scene is not self._scene:
            self._attach(scene)
        key = (scene.revision, in_view.tobytes())
        if key != self._key:
            self._key = key
            self.uploads += 1
            self._fill(self._shade(scene, in_view))
        assert self._reference is not None
        return self._reference

    def _attach(self, scene: Scene) -> None:
        if self._reference is not None:
            self._backend.unregister_texture(self._reference)
        self._scene, self.map, self._key = scene, Minimap(scene), None
        usage = wgpu.TextureUsage.TEXTURE_BINDING | wgpu.TextureUsage.COPY_DST
        # Enlarged by whole numbers: ImGui blurs what it enlarges itself.
        self._zoom = max(LEAST_TEXELS // max(self.map.size), 1)
        size = (self._zoom * self.map.size[0], self._zoom * self.map.size[1], 1)
        self._texture = scene.device.create_texture(size=size, format="rgba8unorm", usage=usage)
        self._view = self._texture.create_view()
        self._reference = self._backend.register_texture(self._view)

    def _shade(self, scene: Scene, in_view: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        image = self.map.draw()
        if not len(in_view):
            return image
        share = np.full(image.shape[:2], UNSEEN, np.float32)
        share.reshape(-1)[self.map.places(in_view[in_view < scene.page_count])] = 1
        shaded = image.copy()
        shaded[..., :3] = image[..., :3] * share[..., None]
        return shaded

    def _fill(self, image: npt.NDArray[np.uint8]) -> None:
        image = image.repeat(self._zoom, axis=0).repeat(self._zoom, axis=1)
        height, width = image.shape[:2]
        layout = {"bytes_per_row": 4 * width, "rows_per_image": height}
        destination = {"texture": self._texture}
        self._texture._device.queue.write_texture(destination, np.ascontiguousarray(image), layout, (width, height, 1))


def draw(state: ViewerState, layout: Layout, texture: MapTexture) -> None:
    """Draw the map at the lower right of what other panels leave."""
    reference = texture.show(state.scene, state.in_view)
    width, height = texture.map.size
    scale = state.settings.ui_scale
    side = min(SIDE * scale, 0.4 * layout.middle_width, 0.45 * layout.body_height)
    if side < 16:
        return
    zoom = side / max(width, height)
    size = imgui.ImVec2(width * zoom, height * zoom)
    x = layout.width - layout.right - size.x - MARGIN
    y = layout.height - layout.bar - size.y - MARGIN
    _draw_frame(imgui.ImVec2(x, y), size)
    imgui.set_next_window_pos(imgui.ImVec2(x, y))
    imgui.set_next_window_size(size)
    imgui.push_style_var(imgui.StyleVar_.window_padding, imgui.ImVec2(0, 0))
    imgui.begin("##minimap", None, _WINDOW)
    imgui.pop_style_var()
    place = imgui.get_cursor_screen_pos()
    imgui.image(reference, size)
    if imgui.is_item_hovered():
        mouse = imgui.get_mouse_pos()
        _point(
            state, xy_to_page(int((mouse.x - place.x) / zoom), int((mouse.y - place.y) / zoom), state.scene.page_count)
        )
    if state.pin is not None:
        _frame_pin(state, place, zoom)
    imgui.end()


def _draw_frame(place: imgui.ImVec2, size: imgui.ImVec2) -> None:
    # Around the map, for what was never touched is as dark as what is behind it.
    pen, line = imgui.get_background_draw_list(), imgui.get_text_line_height()
    low, high = imgui.ImVec2(place.x - 1, place.y - line - 4), imgui.ImVec2(place.x + size.x + 1, place.y + size.y + 1)
    pen.add_rect_filled(low, high, packed(HALO, 0.85), 3)
    pen.add_rect(low, high, packed(QUIET, 0.6), 3)
    if size.x > imgui.calc_text_size(TITLE).x + 8:
        pen.add_text(imgui.ImVec2(place.x + 4, low.y + 1), packed(QUIET), TITLE)


def _point(state: ViewerState, page: int | None) -> None:
    if page is None:
        return
    picked = describe_byte(state.scene, state.source.ram, page, 0)
    imgui.set_tooltip(plain("\n".join(pick_lines(picked)[:3])))
    if imgui.is_mouse_clicked(0):
        go_to(state, page)


def go_to(state: ViewerState, page: int) -> None:
    """Pin the first byte of `page` and fly there."""
    selection.select(state, page * PAGE_SIZE)
    navigation.frame(state)


def _frame_pin(state: ViewerState, place: imgui.ImVec2, zoom: float) -> None:
    assert state.pin is not None
    x, y = page_to_xy(state.pin >> PAGE_SHIFT, state.scene.page_count)
    low = imgui.ImVec2(place.x + x * zoom - 3, place.y + y * zoom - 3)
    high = imgui.ImVec2(place.x + (x + 1) * zoom + 3, place.y + (y + 1) * zoom + 3)
    imgui.get_window_draw_list().add_rect(low, high, packed(TEXT), thickness=1.5)
