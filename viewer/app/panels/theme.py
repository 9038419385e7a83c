"""Fonts and colours of the panels: dark and quiet, so that the picture stays the brightest thing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imgui_bundle import imgui

from viewer.app.table_view import TableView
from viewer.picture.fonts import find_wide_font
from viewer.view.palette import Rgb

UI_SIZE, MONO_SIZE = 14.0, 14.0
TEXT = (226, 232, 240)
QUIET = (150, 162, 182)
ACCENT = (86, 180, 233)
WARN = (255, 170, 60)
_BACK = (13, 17, 24)
_FIELD = (30, 37, 49)
_RAISED = (44, 56, 76)

_COLOURS = {
    "text": (*TEXT, 1.0),
    "text_disabled": (*QUIET, 1.0),
    "window_bg": (*_BACK, 0.94),
    "popup_bg": (*_BACK, 0.97),
    "menu_bar_bg": (*_BACK, 1.0),
    "border": (60, 72, 92, 0.7),
    "frame_bg": (*_FIELD, 1.0),
    "frame_bg_hovered": (*_RAISED, 1.0),
    "frame_bg_active": (*_RAISED, 1.0),
    "title_bg": (*_BACK, 1.0),
    "title_bg_active": (*_FIELD, 1.0),
    "header": (*_RAISED, 0.9),
    "header_hovered": (54, 70, 96, 0.9),
    "header_active": (64, 84, 116, 1.0),
    "button": (*_RAISED, 0.8),
    "button_hovered": (60, 80, 112, 1.0),
    "button_active": (70, 96, 136, 1.0),
    "tab": (*_BACK, 1.0),
    "tab_hovered": (60, 80, 112, 1.0),
    "tab_selected": (*_RAISED, 1.0),
    "tab_selected_overline": (*ACCENT, 1.0),
    "check_mark": (*ACCENT, 1.0),
    "separator": (60, 72, 92, 0.6),
    "table_header_bg": (*_FIELD, 1.0),
    "table_row_bg_alt": (255, 255, 255, 0.025),
    "text_selected_bg": (*ACCENT, 0.35),
    "scrollbar_bg": (*_BACK, 0.4),
    "scrollbar_grab": (*_RAISED, 1.0),
    "nav_cursor": (*ACCENT, 1.0),
}


def colour(rgb: Rgb, alpha: float = 1.0) -> Any:  # noqa: ANN401  # an ImVec4
    """A colour 0-255 as widgets take it."""
    return imgui.ImVec4(rgb[0] / 255, rgb[1] / 255, rgb[2] / 255, alpha)


def packed(rgb: Rgb, alpha: float = 1.0) -> int:
    """A colour 0-255 as draw lists take it."""
    number: int = imgui.color_convert_float4_to_u32(colour(rgb, alpha))
    return number


class Theme:
    """The fonts, made once for an ImGui context: call after `ImguiRenderer` was made."""

    def __init__(self) -> None:
        import imgui_bundle

        folder = Path(imgui_bundle.__file__).parent / "assets" / "fonts"
        fonts = imgui.get_io().fonts
        self.ui = _add_font(fonts, folder / "Roboto" / "Roboto-Regular.ttf", UI_SIZE)
        self.mono = _add_font(fonts, folder / "Inconsolata-Medium.ttf", MONO_SIZE)
        io = imgui.get_io()
        io.config_input_text_cursor_blink = False  # a blinking cursor would draw frames for ever
        io.config_nav_capture_keyboard = False
        self._scale = 0.0

    def apply(self, scale: float) -> None:
        """Set sizes and colours for text `scale` times as large as the default."""
        if scale == self._scale:
            return
        self._scale = scale
        style = imgui.get_style()
        style.font_size_base = UI_SIZE
        style.font_scale_main = scale
        for name in ("window_rounding", "tab_rounding", "scrollbar_rounding"):
            setattr(style, name, 0.0)
        style.frame_rounding = style.popup_rounding = style.grab_rounding = round(3 * scale)
        style.window_border_size, style.popup_border_size = 0.0, 1.0
        style.window_padding = imgui.ImVec2(10 * scale, 8 * scale)
        style.frame_padding = imgui.ImVec2(6 * scale, 4 * scale)
        style.item_spacing = imgui.ImVec2(8 * scale, 4 * scale)
        style.cell_padding = imgui.ImVec2(5 * scale, 2 * scale)
        style.scrollbar_size = 11 * scale
        for name, (red, green, blue, alpha) in _COLOURS.items():
            style.set_color_(getattr(imgui.Col_, name), colour((red, green, blue), alpha))


def _add_font(fonts: imgui.ImFontAtlas, path: Path, size: float) -> Any:  # noqa: ANN401  # an ImFont
    font = fonts.add_font_from_file_ttf(str(path), size)
    if (wide := find_wide_font()) is not None:
        # Its letters are drawn when they are met first; those that both have stay the first one's.
        config = imgui.ImFontConfig()
        config.merge_mode = True
        fonts.add_font_from_file_ttf(str(wide), size, config)
    return font


MONO: list[Any] = []
"""The monospaced font of the window's theme; empty until there is one."""


def push_mono() -> None:
    """Write in the monospaced font until `imgui.pop_font`."""
    imgui.push_font(MONO[0] if MONO else None, 0.0)


def quiet(text: str) -> None:
    """A line of secondary text."""
    imgui.text_colored(colour(QUIET), text)


SORTED_TABLE = (
    imgui.TableFlags_.row_bg
    | imgui.TableFlags_.scroll_x
    | imgui.TableFlags_.scroll_y
    | imgui.TableFlags_.sizing_fixed_fit
    | imgui.TableFlags_.resizable
    | imgui.TableFlags_.sortable
    | imgui.TableFlags_.sort_tristate
)
"""Flags of a table that scrolls, and is sorted by its headings (`sort_order`)."""


def draw_filter(view: TableView, name: str) -> None:
    """A field for the words that rows of table `name` must have."""
    imgui.set_next_item_width(-1)
    changed, typed = imgui.input_text_with_hint(f"##filter of {name}", f"filter {name}", view.words)
    if changed:
        view.words = typed[:80]


def sort_order() -> tuple[int | None, bool]:
    """The column that the table being drawn is sorted by, None for none, and whether from the highest on."""
    specs = imgui.table_get_sort_specs()
    if specs is None or not specs.specs_count:
        return None, False
    spec = specs.get_specs(0)
    return spec.column_index, spec.sort_direction == imgui.SortDirection.descending


def fixed_window(name: str, place: tuple[float, float], size: tuple[float, float], extra: int = 0) -> None:
    """Begin a window at a fixed place; `imgui.end` ends it."""
    imgui.set_next_window_pos(imgui.ImVec2(*place))
    imgui.set_next_window_size(imgui.ImVec2(*size))
    flags = imgui.WindowFlags_.no_move | imgui.WindowFlags_.no_collapse | imgui.WindowFlags_.no_saved_settings
    flags |= imgui.WindowFlags_.no_title_bar | imgui.WindowFlags_.no_resize
    flags |= imgui.WindowFlags_.no_bring_to_front_on_focus
    imgui.begin(name, None, flags | extra)


def plain(value: object) -> str:
    """A value for a label: without what ImGui would read as an id or cannot draw, 300 characters at most."""
    return str(value).replace("##", "# #").replace("\0", "")[:300]
