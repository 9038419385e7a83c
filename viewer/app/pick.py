"""Picking: the page and byte under the cursor, its owner, and the bytes around it, also as a small box of text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from qemu_bridge.errors import GlassBoxError
from qemu_bridge.memory.addresses import PAGE_SHIFT, PAGE_SIZE, RamOffset
from qemu_bridge.wire.page_map import FLAG_SHARED
from qemu_bridge.wire.records import Owner, PageClass

from ..picture.fonts import load_font
from ..picture.legend import HALO, QUIET, TEXT
from ..render.raymarch import Renderer
from ..render.scene import Scene
from ..sources.source import Ram
from ..view.camera import Camera
from ..view.labels import describe_pages
from ..view.palette import material

LINE_BYTES = 16


@dataclass(frozen=True, slots=True)
class PickResult:
    """One byte of RAM and what is known of it.

    Attributes:
        page: page of the RAM file.
        offset: the byte's offset in it; of several that share a voxel the first.
        physical: its guest-physical address; None where the source does not tell how RAM is laid out.
        page_class: what the page is.
        owner: of the page, None for none.
        is_shared: whether more than one process maps it.
        content: the aligned 16 bytes it is one of.
        machine: which of the machines that are drawn it is in.
        name: that machine's name where there are several.
    """

    page: int
    offset: int
    physical: int | None
    page_class: PageClass
    owner: Owner | None
    is_shared: bool
    content: bytes
    machine: int = 0
    name: str = ""


def pick_at(
    renderer: Renderer, rams: Sequence[Ram], camera: Camera, size: tuple[int, int], pixel: tuple[int, int]
) -> PickResult | None:
    """The byte that a pixel (x, y) of a picture of `size` shows; None for empty space, empty glass or a place outside.

    `rams` has the RAM of each of the renderer's scenes.
    """
    if not (0 <= pixel[0] < size[0] and 0 <= pixel[1] < size[1]):
        return None
    picks = renderer.pick(camera, size, pixel, (1, 1))
    page, machine = int(picks.pages[0, 0]), int(picks.scenes[0, 0])
    if page < 0:
        return None
    return replace(
        describe_byte(renderer.scenes[machine], rams[machine], page, int(picks.offsets[0, 0])), machine=machine
    )


def describe_byte(scene: Scene, ram: Ram, page: int, offset: int) -> PickResult:
    """What is known now of a byte of `ram`."""
    place = page * PAGE_SIZE + offset
    line = place // LINE_BYTES * LINE_BYTES
    page_class, owner, is_shared = PageClass.OTHER, None, False
    if scene.page_map is not None and page < len(scene.page_map.entries):
        entry = scene.page_map.entries[page]
        number = int(entry["page_class"])
        page_class = PageClass(number) if number in PageClass.__members__.values() else PageClass.OTHER
        owner = scene.page_map.owners.get(int(entry["owner_id"]))
        is_shared = bool(entry["flags"] & FLAG_SHARED)
    content = ram.view[line : line + LINE_BYTES].tobytes()
    return PickResult(page, offset, _to_physical(ram, place), page_class, owner, is_shared, content)


def _to_physical(ram: Ram, place: int) -> int | None:
    if ram.layout is None:
        return None
    try:
        return int(ram.layout.to_physical(RamOffset(place)))
    except GlassBoxError:
        return None


def pick_lines(picked: PickResult) -> list[str]:
    """A byte in four lines: kind and owner, page and address, bytes, characters."""
    kind = describe_pages(picked.page_class, picked.owner) + (" and others" if picked.is_shared else "")
    kind = f"{picked.name}: {kind}" if picked.name else kind
    place = (picked.page << PAGE_SHIFT) + picked.offset
    address = f"RAM offset {place:#x}" if picked.physical is None else f"physical {picked.physical:#x}"
    characters = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in picked.content)
    return [kind, f"page {picked.page:#x} + {picked.offset:#05x}   {address}", picked.content.hex(" "), characters]


def draw_pick_box(picked: PickResult, picture_height: int, is_pinned: bool = False) -> npt.NDArray[np.uint8]:
    """The box: premultiplied RGBA, `uint8` of shape (height, width, 4); sizes grow with the picture's height."""
    scale = max(picture_height / 720, 0.75)
    kind, address, _, characters = pick_lines(picked)
    here = picked.offset % LINE_BYTES
    colour = material(picked.page_class).colour
    rows = ((kind, TEXT), (address, QUIET))
    cells = [(f"{byte:02x}", TEXT if n == here else QUIET) for n, byte in enumerate(picked.content)]
    letters = [(character, TEXT if n == here else QUIET) for n, character in enumerate(characters)]
    font = load_font(max(round(13 * scale), 9), kind)
    cell, line, edge = round(21 * scale), round(20 * scale), round(11 * scale)
    words = max(font.getlength(text) for text, _ in rows)
    width, height = round(max(words, cell * LINE_BYTES)) + 2 * edge + round(4 * scale), 4 * line + 2 * edge
    image = Image.new("RGBA", (width, height), (*HALO, 226))
    pen = ImageDraw.Draw(image)
    pen.rectangle([0, 0, round(3 * scale), height], fill=(*colour, 255))
    pen.rectangle([0, 0, width - 1, height - 1], outline=(*(TEXT if is_pinned else colour), 255 if is_pinned else 120))
    left = edge + round(4 * scale)
    for number, (text, ink) in enumerate(rows):
        pen.text((left, edge + (number + 0.5) * line), text, fill=ink, font=font, anchor="lm")
    mark = [left + here * cell - 2, edge + 2 * line, left + (here + 1) * cell - 4 * scale, edge + 4 * line]
    pen.rectangle(mark, fill=tuple(part // 3 for part in colour))
    for number, row in enumerate((cells, letters)):
        for n, (text, ink) in enumerate(row):
            middle = (left + (n + 0.5) * cell - 3 * scale, edge + (number + 2.5) * line)
            pen.text(middle, text, fill=ink, font=font, anchor="mm")
    pixels = np.asarray(image).astype(np.float32)
    pixels[..., :3] *= pixels[..., 3:] / 255
    return np.round(pixels).astype(np.uint8)


def place_box(pixel: tuple[int, int], box: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Top left of a box beside a pixel: below and to the right if it fits, inside the picture anyway."""
    gap = 18
    corner = [p + gap if p + gap + b <= s else p - gap - b for p, b, s in zip(pixel, box, size, strict=True)]
    return max(corner[0], 0), max(corner[1], 0)
