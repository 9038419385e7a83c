"""The colours of pages outside the 3D picture: for a legend and the flat map."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..view import palette
from ..view.class_masks import visible_mask
from ..view.look import Look, Mode, value_ramp
from .page_style import HIGHLIGHTED, SELECTED
from .page_table import CLASS_BITS
from .scene import Scene

_MARK_COLOURS = ((HIGHLIGHTED, (255, 215, 60)), (SELECTED, (215, 245, 255)))


def page_colours(scene: Scene) -> npt.NDArray[np.uint8]:
    """The colour of each page as the look has it: RGBA, `uint8` of shape (page_count, 4); hidden ones are clear."""
    style = scene.page_style
    place = (scene.page_table.words & CLASS_BITS) << np.uint32(8) | style.words & np.uint32(255)
    table = np.ascontiguousarray(_colour_table(scene.look)).view(np.uint32).reshape(-1)
    colours = table[place].view(np.uint8).reshape(-1, 4)
    hot = style.heat.hot
    heat = (style.words[hot] >> np.uint32(8) & np.uint32(255)).astype(np.float32)[:, None] / 255
    colours[hot, :3] = colours[hot, :3] * (1 - heat) + heat * np.array(palette.GLOW_COLOUR, np.float32)
    for flag, colour in _MARK_COLOURS:
        colours[style.marked(flag), :3] = colour
    return colours


def _colour_table(look: Look) -> npt.NDArray[np.uint8]:
    # A colour for every class and value: (32, 256, 4).
    table = np.zeros((32, 256, 4), np.uint8)
    table[..., 3] = 255
    ramp, mask = value_ramp(look), visible_mask(look)
    for page_class in range(32):
        usual = np.array(palette.colour_of(page_class, look.palette), np.float32)
        strength = _map_strength(page_class, look)
        has_value = np.full(256, look.mode not in (Mode.CLASS, Mode.BYTES))
        if look.mode.is_activity:
            has_value[0], strength = False, 0.25 * strength
        bright = 1.0 if look.mode.is_activity else strength
        table[page_class, :, :3] = np.where(has_value[:, None], bright * ramp, strength * usual)
        table[page_class, :, 3] *= np.uint8(mask >> page_class & 1)
    return table


def _map_strength(page_class: int, look: Look) -> float:
    # In a flat map glass is dark rather than clear.
    material = palette.material(page_class)
    if page_class in look.dimmed:
        return 0.15
    return 1.0 if material.is_body else 0.25 + 2 * material.surface_opacity
