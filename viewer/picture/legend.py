"""The text on the picture: title, legend, caption, and labels; drawn by Pillow.

The result is one premultiplied RGBA image of the picture's size, which the renderer lays over the picture
in a window and offscreen. Sizes are for a picture 720 pixels high and grow with it.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from qemu_bridge.memory.addresses import PAGE_SIZE, format_size
from qemu_bridge.wire.records import PageClass

from ..render.raymarch import Picks
from ..render.scene import Scene
from ..view.arcs import COLOUR as ARC_COLOUR
from ..view.arcs import arrow_head
from ..view.camera import Camera
from ..view.curve_guide import CurveGuide, curve_guide
from ..view.labels import Box, Label, arrange, describe_owner, describe_pages
from ..view.look import Mode, value_ramp
from ..view.palette import GLOW_COLOUR, HIGHLIGHT_COLOUR, LEARNED_COLOURS, MATERIALS, Rgb, colour_of
from ..view.placement import outline_in_picture
from .arcs import PlacedArc, place_words
from .fonts import load_font
from .legend_entries import CHANGES, GLOW, describe_layers, explain, glow_bytes, legend_entries, scale_ticks

TEXT = (226, 232, 240)
QUIET = (140, 152, 172)
WARN = (255, 170, 60)
HALO = (6, 9, 14)
LEGEND_WIDTH = 250
"""Pixels at the left that the legend wants, in a picture 720 high."""
_LABELS_WIDTH = 178
"""Pixels at the right for the words of small things, likewise."""
_GUIDE_HEIGHT = 170
"""Pixels at the foot for the guide to the curve, likewise."""
_GUIDE_WIDTH = 200
_BLOCK_SHARE = 0.018
_MIN_PIXELS = 10
_LEAST_SHARE = 0.001
_MOST_LABELS = 16
_SCALE_HEIGHT = 230
_MOST_LETTERS = 20


def format_bytes(size_bytes: int) -> str:
    """A size for reading, three figures at most: ``14.0 MiB``, ``592 KiB``."""
    return f"{size_bytes / (1 << 20):.1f} MiB" if size_bytes >= 1 << 20 else f"{size_bytes >> 10} KiB"


def legend_shift(width: int, height: int) -> tuple[float, float]:
    """Lens shift that centres the scene in what the legend leaves free; none where the picture is too narrow for one."""
    if not has_legend(width, height):
        return 0.0, 0.0
    return 0.72 * LEGEND_WIDTH * height / 720 / width, 0.02


def free_aspect(width: int, height: int) -> float:
    """Width / height of what legend and labels leave free about the scene's middle."""
    middle, scale = width / 2 * (1 + legend_shift(width, height)[0]), height / 720
    left, right = (LEGEND_WIDTH * scale, _LABELS_WIDTH * scale) if has_legend(width, height) else (0.0, 0.0)
    return max(2 * min(middle - left, width - right - middle) / height, 0.2)


def has_legend(width: int, height: int) -> bool:
    """Whether a picture is large enough for a legend that can be read."""
    return height >= 300 and width >= 1.2 * height


def caption(*scenes: Scene) -> str:
    """What a voxel and a brick are, and how many voxels the box of RAM has along each edge; what differs is left out."""
    pool, brick = scenes[0].pool, "1 brick = 1 page of 4 KiB"
    voxel = "1 byte" if pool.coarsening == 0 else f"{8**pool.coarsening} bytes (the largest)"
    if any(scene.pool.coarsening != pool.coarsening for scene in scenes):
        return brick
    parts = [f"1 voxel = {voxel}", brick]
    if are_alike(scenes):
        parts.append(f"3D Hilbert curve of order {pool.order}, {voxels(scenes[0])} voxels")
    return "  ·  ".join(parts)


def are_alike(scenes: Sequence[Scene]) -> bool:
    """Whether all are of machines with as much RAM, drawn as finely: what is said of one cube is true of each."""
    return len({(scene.page_count, scene.pool.order) for scene in scenes}) == 1


def voxels(scene: Scene) -> str:
    """Voxels along x, y and z of the box that RAM fills: ``512 x 512 x 256`` for 64 MiB."""
    along = scene.pool.side // scene.edge
    return " x ".join(str(pages * along) for pages in scene.extent)


def count_pages(*scenes: Scene) -> Counter[PageClass]:
    """Pages of each class in all `scenes`."""
    return sum((Counter(scene.page_map.counts()) for scene in scenes if scene.page_map is not None), Counter())


def legend_classes(*scenes: Scene) -> list[PageClass]:
    """The classes that the legend lists, from the top: what is there, glass last."""
    present = (c for c in count_pages(*scenes) if c != PageClass.UNTOUCHED)
    return sorted(present, key=lambda c: (not MATERIALS[c].is_body, c))


def find_all_labels(scenes: Sequence[Scene], picks: Picks, *, beside_legend: bool = True) -> list[Label]:
    """`find_labels` for each of a renderer's `scenes`; of several only what is large enough to carry its name."""
    found = (
        find_labels(scene, picks.pages_of(number), beside_legend=beside_legend) for number, scene in enumerate(scenes)
    )
    return [label for labels in found for label in labels if label.is_block or len(scenes) == 1]


def name_labels(
    scenes: Sequence[Scene], camera: Camera, size: tuple[int, int], shift: tuple[float, float]
) -> list[Label]:
    """The name of each machine over its cube, in a picture of `size`; none for one alone, nor where the eye is inside."""
    labels = []
    for scene in scenes:
        box = outline_in_picture(camera, *scene.content_box(), size, shift) if scene.name else None
        if box is not None:
            colour = QUIET if scene.is_ended else TEXT
            labels.append(Label(scene.name + " (ended)" * scene.is_ended, colour, (box[0] + box[2]) / 2, box[1], True))
    return labels


def find_labels(scene: Scene, picked: npt.NDArray[np.int64], *, beside_legend: bool = True) -> list[Label]:
    """Labels for the largest things in `picked` (see `Renderer.pick_pages`), in a picture of the same size.

    `beside_legend` keeps them out of where the legend is, if the picture is large enough for one.

    What a thing is depends on what colours mean: a class, an owner, a kind of difference of a class and owner; where
    they are values, a class and owner. A label stands on a pixel of what it names.
    """
    if scene.page_map is None:
        return []
    entries = scene.page_map.entries[np.maximum(picked, 0)]
    is_free = picked >= 0
    height, width = picked.shape
    if beside_legend and has_legend(width, height):
        is_free[:, : round((LEGEND_WIDTH + 60) * height / 720)] = False  # no label under the legend
    things = _things(scene, picked, entries)
    numbers, counts = np.unique(things[is_free], return_counts=True)
    # A class may be a page alone that is looked for, and a learned loop is one; other things there are hundreds of.
    least = (
        _MIN_PIXELS
        if scene.look.mode in (Mode.CLASS, Mode.LEARNED)
        else max(_MIN_PIXELS, round(_LEAST_SHARE * picked.size))
    )
    largest = [int(numbers[n]) for n in np.argsort(-counts, kind="stable") if counts[n] >= least and numbers[n]]
    return [_label(scene, thing, is_free & (things == thing), entries["owner_id"]) for thing in largest[:_MOST_LABELS]]


def _things(scene: Scene, picked: npt.NDArray[np.int64], entries: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
    # A number for what each pixel shows, 0 for what has no name: difference, class and owner, as far as colours mean them.
    owners = entries["owner_id"].astype(np.int64)
    classes = entries["page_class"].astype(np.int64)
    if scene.look.mode is Mode.CLASS:
        return classes << 32
    if scene.look.mode is Mode.OWNER:
        return owners
    things = classes << 32 | owners
    learned = scene.page_style.learned
    if scene.look.mode is Mode.LEARNED:
        return (
            np.where(np.isin(picked, [*learned.words]), picked + 1, 0) if learned is not None else np.zeros_like(picked)
        )
    difference = scene.page_style.difference
    if scene.look.mode is Mode.DIFFERENCE and difference is not None:
        kinds = difference[np.clip(picked, 0, len(difference) - 1)].astype(np.int64)
        return np.where(kinds > 0, kinds << 40 | things, 0)
    return things


def _label(scene: Scene, thing: int, mask: npt.NDArray[np.bool_], owner_ids: npt.NDArray[np.uint32]) -> Label:
    assert scene.page_map is not None
    owners, owner_id = scene.page_map.owners, thing & 0xFFFFFFFF
    kind, number, colour = thing >> 40, thing >> 32 & 0xFF, TEXT
    page_class = PageClass(number) if number in PageClass.__members__.values() else PageClass.OTHER
    learned = scene.page_style.learned
    if scene.look.mode is Mode.OWNER:
        text = describe_owner(owners.get(owner_id))
    elif scene.look.mode is Mode.LEARNED and learned is not None:
        text, colour = learned.words[thing - 1], LEARNED_COLOURS[learned.kinds[thing - 1]]
    elif scene.look.mode is Mode.CLASS:
        # Where colours are not those of classes, that of a class would mislead.
        colour = colour_of(page_class, scene.look.palette)
        numbers, counts = np.unique(owner_ids[mask], return_counts=True)
        owner_id = int(numbers[np.argmax(counts)])
        # Of several owners none gives the class its name.
        is_one = page_class.name.startswith("PROCESS_") and 2 * counts.max() > counts.sum()
        text = describe_pages(page_class, owners.get(owner_id) if is_one else None)
        mask = mask & (owner_ids == owner_id) if is_one else mask
    else:
        text = (f"{CHANGES[kind]}: " if kind else "") + describe_pages(page_class, owners.get(owner_id))
    size = int(np.count_nonzero(mask))
    is_block = size >= _BLOCK_SHARE * mask.size
    y, x = _densest(mask, max(mask.shape[0] // (9 if is_block else 40), 2))
    return Label(text, colour, float(x), float(y), is_block, size)


def _densest(mask: npt.NDArray[np.bool_], radius: int) -> tuple[int, int]:
    """(row, column) of the set pixel with most set pixels around it, by a summed-area table."""
    table = np.pad(mask.astype(np.int32).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    rows, columns = np.arange(mask.shape[0]), np.arange(mask.shape[1])
    top, bottom = np.maximum(rows - radius, 0), np.minimum(rows + radius + 1, mask.shape[0])
    left, right = np.maximum(columns - radius, 0), np.minimum(columns + radius + 1, mask.shape[1])
    count = table[bottom][:, right] - table[top][:, right] - table[bottom][:, left] + table[top][:, left]
    row, column = np.unravel_index(int(np.argmax(np.where(mask, count, -1))), mask.shape)
    return int(row), int(column)


class _Pen:
    """An image to write on, twice as wide and high as what it becomes, with lengths for a picture `height` pixels high.

    Pillow draws lines and polygons without smoothing, so they are drawn at twice the size and reduced.
    """

    def __init__(self, size: tuple[int, int], height: int) -> None:
        self.image = Image.new("RGBA", (2 * size[0], 2 * size[1]), (0, 0, 0, 0))
        self.draw = ImageDraw.Draw(self.image)
        self.scale = 2 * height / 720

    def reduced(self) -> npt.NDArray[np.uint8]:
        """What was drawn, premultiplied before it is reduced, so that no dark rim appears around the words."""
        image = np.asarray(self.image).astype(np.float32)
        image[..., :3] *= image[..., 3:] / 255
        quarter = (image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4
        return np.round(quarter).astype(np.uint8)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        size: float,
        colour: Rgb = TEXT,
        anchor: str = "ls",
        halo: float = 0,
        alpha: int = 255,
    ) -> None:
        font = load_font(max(round(size * self.scale), 8), words)
        stroke = round(halo * self.scale)
        self.draw.text(
            (x, y),
            words,
            fill=(*colour, alpha),
            font=font,
            anchor=anchor,
            stroke_width=stroke,
            stroke_fill=(*HALO, 200 * alpha // 255),
        )

    def box(self, x: float, y: float, words: str, size: float, anchor: str) -> Box:
        """What `text` would cover."""
        return self.draw.textbbox((x, y), words, font=load_font(max(round(size * self.scale), 8), words), anchor=anchor)

    def shade_left(self, width: float) -> None:
        """Darken the left, fading out, so that words stay readable over a near view."""
        columns = min(round(width), self.image.width)
        fade = 225 * (1 - np.linspace(0, 1, columns) ** 6) if columns else np.zeros(0)
        ramp = Image.fromarray(np.broadcast_to(np.round(fade).astype(np.uint8), (self.image.height, columns)).copy())
        panel = Image.new("RGBA", ramp.size, (*HALO, 255))
        panel.putalpha(ramp)
        self.image.alpha_composite(panel)

    def scale_bar(self, x: float, y: float, width: float, height: float, steps: npt.NDArray[np.uint8]) -> None:
        """The colours of values 255 (at the top) to 0, in a bar whose upper left corner is at (x, y)."""
        wide, high = round(width * self.scale), round(height * self.scale)
        values = np.linspace(255, 0, high).round().astype(np.intp)
        bar = Image.fromarray(np.ascontiguousarray(np.repeat(steps[values][:, None], wide, axis=1)))
        self.image.paste(bar, (round(x), round(y)))

    def cube(self, x: float, y: float, edge: float, colour: Rgb, alpha: int = 255) -> None:
        """A little isometric brick whose middle is at (x, y)."""
        half, rise = edge * 0.87 * self.scale, edge * 0.5 * self.scale
        tall = edge * self.scale
        faces = (
            (1.12, ((x, y - tall), (x + half, y - rise), (x, y), (x - half, y - rise))),
            (0.86, ((x - half, y - rise), (x, y), (x, y + tall), (x - half, y + rise))),
            (0.62, ((x + half, y - rise), (x, y), (x, y + tall), (x + half, y + rise))),
        )
        for light, corners in faces:
            shade = tuple(min(round(part * light), 255) for part in colour)
            self.draw.polygon(corners, fill=(*shade, alpha))


def draw_overlay(
    size: tuple[int, int],
    scene: Scene,
    title: str,
    labels: Sequence[Label] = (),
    *,
    with_keys: bool = False,
    camera: Camera | None = None,
    others: Sequence[Scene] = (),
    names: Sequence[Label] = (),
    arcs: Sequence[PlacedArc] = (),
) -> npt.NDArray[np.uint8]:
    """The overlay: premultiplied RGBA, `uint8` of shape (height, width, 4), transparent where there is no text.

    `title` is ``name · RAM size · kernel``: what stands before the first dot is the headline. `with_keys` adds
    the digit that toggles a class, `camera` a guide to how addresses run in its picture. `others` are in the same picture and
    look alike; `names` are those of machines, as `name_labels` places them, `arcs` what these send each other.
    """
    width, height = size
    pen, scenes = _Pen(size, height), (scene, *others)
    for arc in arcs:
        _draw_arc(pen, arc)
    for name in names:
        pen.text(2 * name.x, 2 * name.y - 10 * pen.scale, name.text, 20, name.colour, "ms", halo=3)
    _draw_words_of_arcs(pen, arcs, names)
    _draw_labels(pen, labels, 2)
    if has_legend(width, height):
        if camera is not None and are_alike(scenes):
            _draw_guide(pen, scene, camera)
        pen.shade_left((LEGEND_WIDTH + 90) * pen.scale)
        _draw_title(pen, title)
        if scene.look.mode is Mode.CLASS:
            _draw_classes(pen, scenes, with_keys)
        else:
            _draw_legend_entries(pen, scenes)
        pen.text(28 * pen.scale, 2 * height - 24 * pen.scale, caption(*scenes), 12.5, QUIET, halo=2)
    return pen.reduced()


def _draw_arc(pen: _Pen, arc: PlacedArc) -> None:
    alpha = round(255 * arc.strength)
    path = [(2 * x, 2 * y) for x, y in arc.path.tolist()]
    for colour, extra in (((*HALO, alpha // 2), 2), ((*ARC_COLOUR, alpha), 0)):
        pen.draw.line(path, fill=colour, width=max(round((arc.width + extra) * pen.scale), 1), joint="curve")
    head = 2 * arrow_head(arc.path, (10 + 2.5 * arc.width) * pen.scale / 2)
    pen.draw.polygon([(x, y) for x, y in head.tolist()], fill=(*ARC_COLOUR, alpha))


_LEAST_STRENGTH = 0.45


def _draw_words_of_arcs(pen: _Pen, arcs: Sequence[PlacedArc], names: Sequence[Label]) -> None:
    taken = [pen.box(2 * name.x, 2 * name.y - 10 * pen.scale, name.text, 20, "ms") for name in names]
    area = (0.0, 0.0, float(pen.image.width), float(pen.image.height))

    def width_of(words: str) -> float:
        left, _, right, _ = pen.box(0, 0, words, 13, "ls")
        return right - left

    line = 17 * pen.scale
    doubled = [replace(arc, path=2 * arc.path) for arc in arcs]
    for placed in place_words(doubled, width_of, line, area, taken):
        left, top, right, bottom = placed.box
        # As long as they are there they can be read.
        alpha = round(255 * max(placed.arc.strength, _LEAST_STRENGTH))
        pad = 5 * pen.scale
        shade = (*HALO, round(0.65 * alpha))
        pen.draw.rounded_rectangle((left - pad, top, right + pad, bottom), pad, fill=shade)
        for number, words in enumerate(placed.lines):
            at = ((left + right) / 2, top + (number + 0.8) * line)
            pen.text(*at, words, 13, ARC_COLOUR, "ms", halo=2, alpha=alpha)


def draw_guide(size: tuple[int, int], scene: Scene, camera: Camera) -> tuple[npt.NDArray[np.uint8], tuple[int, int]]:
    """The part of `draw_overlay` that turns with the camera, as premultiplied RGBA, and where it is in a picture of `size`."""
    width, height = size
    part = round(_GUIDE_WIDTH * height / 720), round(_GUIDE_HEIGHT * height / 720)
    pen = _Pen(part, height)
    _draw_guide(pen, scene, camera)
    return pen.reduced(), (width - part[0], height - part[1])


def scene_guide(scene: Scene, camera: Camera) -> tuple[CurveGuide, list[str]]:
    """The guide to how addresses run in `scene`, and its words."""
    ram_bytes = scene.page_count * PAGE_SIZE
    guide = curve_guide(camera, scene.relative_extent, ram_bytes, scene.page_order)
    pages = " x ".join(map(str, scene.extent))
    return guide, [f"0 to {format_size(ram_bytes)}, {format_size(guide.step_bytes)} a step", f"{pages} bricks"]


def _draw_guide(pen: _Pen, scene: Scene, camera: Camera) -> None:
    guide, words = scene_guide(scene, camera)
    radius = 46 * pen.scale
    middle = pen.image.width - 100 * pen.scale, pen.image.height - 106 * pen.scale

    def to_pixels(point: tuple[float, float]) -> tuple[float, float]:
        return middle[0] + radius * point[0], middle[1] - radius * point[1]

    # Over a near view it would be lost among the bricks.
    corner = (pen.image.width - 192 * pen.scale, pen.image.height - (_GUIDE_HEIGHT - 8) * pen.scale)
    edge = (pen.image.width - 8 * pen.scale, pen.image.height - 10 * pen.scale)
    pen.draw.rounded_rectangle([corner, edge], 8 * pen.scale, fill=(*HALO, 150))
    for one, other in guide.edges:
        pen.draw.line([to_pixels(one), to_pixels(other)], fill=(*QUIET, 130), width=max(round(pen.scale), 1))
    path = [to_pixels(point) for point in guide.path]
    pen.draw.line(path, fill=(*TEXT, 255), width=max(round(1.8 * pen.scale), 1), joint="curve")
    for number, (x, y) in enumerate(path):
        dot = (4 if number == 0 else 2.2) * pen.scale
        pen.draw.ellipse([x - dot, y - dot, x + dot, y + dot], fill=(*(WARN if number == 0 else TEXT), 255))
    x, y = path[0]
    pen.text(x, y - 8 * pen.scale, "0x0", 12, WARN, "ms", halo=2)
    for line, sentence in enumerate(words):
        pen.text(middle[0], middle[1] + radius + (22 + 17 * line) * pen.scale, sentence, 12, QUIET, "ms", halo=2)


def _draw_title(pen: _Pen, title: str) -> None:
    headline, _, rest = title.partition(" · ")
    left = 28 * pen.scale
    pen.text(left, 58 * pen.scale, headline, 30)
    for line, words in enumerate(filter(None, rest.split(" · "))):
        pen.text(left, (84 + 19 * line) * pen.scale, words, 14, QUIET)


def _draw_classes(pen: _Pen, scenes: Sequence[Scene], with_keys: bool) -> None:
    scene, counts = scenes[0], count_pages(*scenes)
    order = legend_classes(*scenes)
    left, right = 28 * pen.scale, (LEGEND_WIDTH + 8) * pen.scale
    # Between the heading and the line at the foot, closer together where there are many.
    row = min(26 * pen.scale, (pen.image.height - 180 * pen.scale) / (len(order) + 1))
    y = (pen.image.height + 62 * pen.scale - row * (len(order) + 1)) / 2 + 14 * pen.scale
    for number, page_class in enumerate(order, start=1):
        is_shown = page_class in scene.visible
        material = MATERIALS[page_class]
        alpha = 255 if material.is_body else 130
        colour = colour_of(page_class, scene.look.palette)
        pen.cube(left + 8 * pen.scale, y - 5 * pen.scale, 8, colour, alpha if is_shown else 40)
        ink = TEXT if is_shown else QUIET
        pen.text(left + 26 * pen.scale, y, page_class.label, 14, ink)
        if with_keys and number < 10:
            pen.text(left - 8 * pen.scale, y, str(number), 10, QUIET, "rs")
        pen.text(right, y, format_bytes(counts[page_class] * PAGE_SIZE), 13, QUIET, "rs")
        y += row
    untouched = counts.get(PageClass.UNTOUCHED, 0)
    if untouched:
        pen.text(left + 26 * pen.scale, y, "never touched", 13, QUIET)
        pen.text(right, y, format_bytes(untouched * PAGE_SIZE), 13, QUIET, "rs")
        y += row
    _draw_glow(pen, scenes, y)


def _draw_glow(pen: _Pen, scenes: Sequence[Scene], y: float) -> None:
    """What stands out beside the colours of the mode: what is highlighted, and what was just written."""
    left, right = 28 * pen.scale, (LEGEND_WIDTH + 8) * pen.scale
    highlighted = Counter[str]()
    for scene in scenes:
        title, pages = scene.highlighted
        highlighted.update({title: pages * PAGE_SIZE} if title else {})
    rows = [(shorten(title, _MOST_LETTERS), HIGHLIGHT_COLOUR, size) for title, size in highlighted.items()]
    if (glowing := glow_bytes(*scenes)) is not None:
        rows.append((GLOW, GLOW_COLOUR, glowing))
    for words, colour, size_bytes in rows:
        pen.cube(left + 8 * pen.scale, y - 5 * pen.scale, 8, colour)
        pen.text(left + 26 * pen.scale, y, words, 14)
        pen.text(right, y, format_bytes(size_bytes), 13, QUIET, "rs")
        y += 26 * pen.scale


def _draw_legend_entries(pen: _Pen, scenes: Sequence[Scene]) -> None:
    """The legend of a mode: entries with sizes, or a colour scale with ticks."""
    left, right = 28 * pen.scale, (LEGEND_WIDTH + 8) * pen.scale
    rows, look = legend_entries(*scenes), scenes[0].look
    ticks = scale_ticks(look.mode, look.transfer)
    height = 26 * len(rows) if rows else _SCALE_HEIGHT if ticks else 0
    y = (pen.image.height + 62 * pen.scale - height * pen.scale) / 2
    pen.text(left, y - 22 * pen.scale, look.mode.label, 15)
    if rows:
        for row in rows:
            y += 26 * pen.scale
            pen.cube(left + 8 * pen.scale, y - 5 * pen.scale, 8, row.colour)
            pen.text(left + 26 * pen.scale, y, shorten(row.label, _MOST_LETTERS), 14)
            pen.text(right, y, format_bytes(row.size_bytes), 13, QUIET, "rs")
    elif ticks:
        pen.scale_bar(left, y, 16, _SCALE_HEIGHT, value_ramp(look))
        for value, words in ticks:
            at = y + (1 - value / 255) * _SCALE_HEIGHT * pen.scale
            pen.text(left + 28 * pen.scale, at, words, 14, anchor="lm")
    y += (height * (not rows) + 34) * pen.scale
    for sentence in explain(*scenes):
        for line in textwrap.wrap(sentence, 32):
            pen.text(left, y, line, 14, WARN)
            y += 20 * pen.scale
    if layers := describe_layers(look.hidden, look.isolated):
        pen.text(left, y, shorten(layers, 2 * _MOST_LETTERS), 13, QUIET)
        y += 26 * pen.scale
    _draw_glow(pen, scenes, y)


def shorten(words: str, most: int) -> str:
    """At most `most` letters of `words`, with an ellipsis for the others."""
    return words if len(words) <= most else words[: most - 1].rstrip() + "…"


def _fit(pen: _Pen, words: str, width: float) -> str:
    """`words` in at most `width` pixels of the column of labels: without folders, then without ``process``, then cut."""

    def fits(text: str) -> bool:
        left, _, right, _ = pen.box(0, 0, text, 14, "lm")
        return right - left <= width

    before, slash, path = words.partition("/")
    name = before + path.rpartition("/")[2] if slash else words
    whole = next(filter(fits, (words, name, name.removeprefix("process "))), None)
    if whole is not None:
        return whole
    short = name.removeprefix("process ")
    most = next((count for count in range(len(short), 1, -1) if fits(shorten(short, count))), 1)
    return shorten(short, most)


def _draw_labels(pen: _Pen, labels: Sequence[Label], factor: int) -> None:
    """Words on blocks; for small things words in a column at the right, with a line to the place."""
    column, spacing, top = pen.image.width - _LABELS_WIDTH * pen.scale, 30 * pen.scale, 70 * pen.scale
    foot = pen.image.height - _GUIDE_HEIGHT * pen.scale
    most = max(int((foot - top) / spacing) + 1, 0)
    by_size = sorted(labels, key=lambda label: -label.size)
    small = sorted([label for label in by_size if not label.is_block][:most], key=lambda label: label.y)
    middle = sum(label.y * factor for label in small) / max(len(small), 1)
    length = spacing * (len(small) - 1)
    y = max(min(middle - length / 2, foot - length), top)
    thin = max(round(1.4 * pen.scale), 2)
    taken: list[Box] = []
    for label in small:
        at = (label.x * factor, label.y * factor)
        bend = (column - 26 * pen.scale, y)
        for colour, extra in (((*HALO, 120), thin), ((*label.colour, 255), 0)):
            pen.draw.line([at, bend, (column - 8 * pen.scale, y)], fill=colour, width=thin + extra, joint="curve")
        dot = 3 * pen.scale
        pen.draw.ellipse(
            [at[0] - dot, at[1] - dot, at[0] + dot, at[1] + dot], fill=(*label.colour, 255), outline=(*HALO, 220)
        )
        words = _fit(pen, label.text, pen.image.width - column - 12 * pen.scale)
        pen.text(column, y, words, 14, TEXT, "lm", halo=2)
        taken.append(pen.box(column, y, words, 14, "lm"))
        y += spacing
    blocks = [label for label in by_size if label.is_block]
    wanted = [pen.box(label.x * factor, label.y * factor, label.text, 17, "mm") for label in blocks]
    area = (0.0, 0.0, float(pen.image.width), float(pen.image.height))
    for label, place in zip(blocks, arrange(wanted, area, 4 * pen.scale, taken), strict=True):
        if place is not None:
            x, y = (place[0] + place[2]) / 2, (place[1] + place[3]) / 2
            pen.text(x, y, label.text, 17, (255, 255, 255), "mm", halo=2.5)
