"""The panels over the picture, together: Dear ImGui on a canvas, where each panel stands, which are drawn.

Each panel is a module of `viewer.app.panels`; here they meet the canvas, the device and the settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import wgpu
from imgui_bundle import imgui
from wgpu.utils.imgui import ImguiRenderer

from ..view.labels import Label
from .commands import Commands
from .panels import command_palette, details, help, layers, marks, menu, minimap, notice, status, theme
from .panels.layout import Layout, lay_out
from .state import ViewerState

if TYPE_CHECKING:
    from .clipboard import Clipboard


class Gui:
    """The panels of one window.

    Attributes:
        labels: text on the picture, with places in physical pixels.
        clipboard: of the desktop; None where the canvas has none.
    """

    def __init__(self, canvas: Any, state: ViewerState, commands: Commands) -> None:  # noqa: ANN401  # of rendercanvas
        self.labels: list[Label] = []
        self.clipboard: Clipboard | None = None
        self._should_close_menus = False
        self._canvas, self._state, self._commands = canvas, state, commands
        self.attach()

    def attach(self) -> None:
        """Draw with the device of the state's scene from here on."""
        self._renderer = ImguiRenderer(self._state.scene.device, self._canvas)
        self._renderer.set_gui(self._draw_panels)
        if self.clipboard is not None:
            self.use_clipboard(self.clipboard)
        self._map = minimap.MapTexture(self._renderer.backend)
        self._theme = theme.Theme()
        theme.MONO[:] = [self._theme.mono]

    def use_clipboard(self, clipboard: Clipboard) -> None:
        """Let fields copy to the desktop's clipboard, and paste what was read from it last."""
        self.clipboard = clipboard
        imgui.set_current_context(self._renderer.imgui_context)
        platform = imgui.get_platform_io()
        platform.platform_set_clipboard_text_fn = lambda context, text: clipboard.copy(text)
        platform.platform_get_clipboard_text_fn = lambda context: clipboard.text

    def detach(self) -> None:
        """Take no event any more; before `attach` with another device."""
        old = self._renderer
        for handler, kinds in (
            (old._on_resize, ("resize",)),
            (old._on_mouse_move, ("pointer_move",)),
            (old._on_mouse, ("pointer_up", "pointer_down")),
            (old._on_key, ("key_up", "key_down")),
            (old._on_wheel, ("wheel",)),
            (old._on_char_input, ("char",)),
        ):
            self._canvas.remove_event_handler(handler, *kinds)

    def layout(self) -> Layout:
        """Where panels stand in the window as large as it is now."""
        settings = self._state.settings
        right = float(settings.details_width) if self._state.is_open("details") else None
        return lay_out(self._canvas.get_logical_size(), settings.ui_scale, self._state.is_open("layers"), right)

    def render(self) -> None:
        """Draw the panels over what the canvas shows."""
        self._renderer.render()

    def render_again(self, target: wgpu.GPURenderPassEncoder) -> None:
        """Draw what `render` drew last once more, in the pass `target`."""
        imgui.set_current_context(self._renderer.imgui_context)
        if (drawn := imgui.get_draw_data()) is not None:
            self._renderer.backend.render(drawn, target)

    @property
    def wants_mouse(self) -> bool:
        """Whether the pointer is over a panel."""
        return bool(self._renderer.backend.io.want_capture_mouse)

    @property
    def wants_text(self) -> bool:
        """Whether a field of a panel takes what is typed."""
        # ImGui's own word comes a frame later.
        context = self._renderer.imgui_context
        return context.active_id != 0 and bool(context.active_id == context.input_text_state.id_)

    @property
    def has_input_waiting(self) -> bool:
        """Whether ImGui has events to come; it handles one of several keys that come together in each frame."""
        return len(self._renderer.imgui_context.input_events_queue) > 0

    @property
    def is_menu_open(self) -> bool:
        """Whether a menu or a drop-down list is open."""
        imgui.set_current_context(self._renderer.imgui_context)
        return imgui.is_popup_open("", imgui.PopupFlags_.any_popup)

    def close_menus(self) -> None:
        """Close open menus and drop-down lists with the next frame."""
        self._should_close_menus = True

    @staticmethod
    def knows_key(key: str) -> bool:
        """Whether ImGui knows a key; it fails on others."""
        return len(key) == 1 or key in ImguiRenderer.KEY_MAP

    def forget_pointer(self) -> None:
        """The pointer has left the window."""
        self._renderer.backend.io.add_mouse_pos_event(-1e30, -1e30)

    def _draw_panels(self) -> None:
        state, layout = self._state, self.layout()
        self._theme.apply(state.settings.ui_scale)
        if self._should_close_menus:
            self._should_close_menus = False
            imgui.internal.close_popup_to_level(0, True)
        marks.draw(state, layout, self.labels, self._canvas.get_pixel_ratio())
        menu.draw(state, self._commands)
        if layout.left:
            layers.draw(state, layout)
        if layout.right:
            details.draw(state, layout)
        if state.is_open("minimap"):
            minimap.draw(state, layout, self._map)
        status.draw(state, layout)
        notice.draw(state, layout, self._commands)
        if state.is_help_open:
            help.draw(state, layout, self._commands)
        if state.command_palette.is_ready and not state.command_palette.is_open:
            self._give_up_field()
        if state.command_palette.is_open:
            command_palette.draw(state, layout, self._commands)
        elif state.hover is not None and not state.is_dragging and not self.wants_mouse:
            marks.draw_hover(state.hover)

    def _give_up_field(self) -> None:
        """The search box is gone: its field takes no more keys, while ImGui would let it for two frames yet."""
        self._state.command_palette.is_ready = False
        imgui.internal.clear_active_id()
        io = self._renderer.backend.io
        io.want_text_input = io.want_capture_keyboard = False
