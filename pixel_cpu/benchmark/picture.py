"""The roofline as a picture: a panel for each device, with its measured roofs and a labelled point for each kernel.

Both axes are logarithmic: operations a byte to the right, operations a second upwards. Below the slanted roofs memory is what a
kernel waits for, below the flat ones arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from .hardware import digits_of, significant
from .rounds import Benchmark, Measurement, Rate, Roofline
from .work import Unit

WIDTH, PANEL_HEIGHT = 1200, 720
"""Pixels of a picture, and of the panel of each device."""
_SCALE = 2
"""Drawn so many times larger, then made smaller: smooth edges."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 28, 74, 66

_BACK, _FIELD, _GRID, _TEXT, _QUIET = (6, 9, 14), (12, 17, 25), (30, 38, 50), (226, 232, 240), (140, 152, 172)
_COLOURS = {Unit.FLOP: (96, 190, 255), Unit.OP: (255, 176, 84)}
_MEMORY, _CACHE = (150, 224, 150), (74, 116, 84)
_WORDS = {Unit.FLOP: "Gflop/s, f32", Unit.OP: "Gop/s, u32"}

Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]


def draw_roofline(benchmark: Benchmark) -> Image.Image:
    """The picture of a benchmark, `WIDTH` pixels wide, with a panel for each of its devices."""
    panels = [
        Panel(roofline, [each for each in benchmark.measurements if each.device == roofline.device], benchmark)
        for roofline in benchmark.rooflines
    ]
    picture = Image.new("RGB", (WIDTH, PANEL_HEIGHT * len(panels)), _BACK)
    for number, panel in enumerate(panels):
        picture.paste(panel.draw(), (0, number * PANEL_HEIGHT))
    return picture


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size * _SCALE)


@dataclass(frozen=True)
class _Axis:
    """A logarithmic axis from `low` to `high`, over pixels `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, base: int) -> Iterator[float]:
        first, last = (round(math.log(value, base)) for value in (self.low, self.high))
        yield from (float(base) ** power for power in range(first, last + 1))


def _axis(values: Iterable[float], base: int, start: float, end: float) -> _Axis:
    """From a power of `base` below all values to one above."""
    found = list(values)
    low, high = math.floor(math.log(min(found), base) - 0.1), math.ceil(math.log(max(found), base) + 0.1)
    return _Axis(float(base) ** low, float(base) ** high, start, end)


class Panel:
    """The panel of one device. `labels` are the boxes of the names, by kernel, in pixels of the drawing before it is made smaller."""

    def __init__(self, roofline: Roofline, points: Sequence[Measurement], benchmark: Benchmark) -> None:
        self.roofline, self.points, self.benchmark = roofline, points, benchmark
        self.units = [unit for unit in Unit if unit is Unit.FLOP or roofline.ops]
        self.image = Image.new("RGB", (WIDTH * _SCALE, PANEL_HEIGHT * _SCALE), _BACK)
        self.pen = ImageDraw.Draw(self.image)
        peaks = [roofline.compute(unit).rate for unit in self.units]
        memory = roofline.bandwidth[roofline.memory_footprint].rate
        intensities = [point.intensity for point in points]
        self.x = _axis([*intensities, max(peaks) / memory, 0.25], 4, _LEFT * _SCALE, (WIDTH - _RIGHT) * _SCALE)
        self.y = _axis(
            [*(value / 1e9 for value in peaks), *(point.rate / 1e9 for point in points)],
            10,
            (PANEL_HEIGHT - _BOTTOM) * _SCALE,
            _TOP * _SCALE,
        )
        self.taken: list[Box] = []
        """Where something stands that a label must not cover."""
        self.stems: list[Box] = []
        """The lines from points to their roofs, which a label avoids where it can."""
        self.labels: dict[str, Box] = {}

    def draw(self) -> Image.Image:
        """The panel, `WIDTH` by `PANEL_HEIGHT` pixels."""
        self._field()
        self._slants()
        for unit in self.units:
            self._flat(unit)
        self._marks()
        for point in sorted(self.points, key=lambda point: -point.rate):
            self._label(point)
        return self.image.resize((WIDTH, PANEL_HEIGHT), Image.Resampling.LANCZOS)

    def _field(self) -> None:
        left, right, top, bottom = self.x.start, self.x.end, self.y.end, self.y.start
        self.pen.rectangle((left, top, right, bottom), fill=_FIELD)
        for value in self.x.ticks(4):
            place = self.x.place(value)
            self.pen.line((place, top, place, bottom), fill=_GRID, width=_SCALE)
            name = f"{value:g}" if value >= 1 else f"1/{1 / value:g}"
            self._text((place, bottom + 14 * _SCALE), name, 13, _QUIET, "mm")
        for value in self.y.ticks(10):
            place = self.y.place(value)
            self.pen.line((left, place, right, place), fill=_GRID, width=_SCALE)
            self._text((left - 8 * _SCALE, place), f"{value:g}", 13, _QUIET, "rm")
        middle = (left + right) / 2
        self._text((middle, bottom + 36 * _SCALE), "operations a byte of least traffic", 14, _TEXT, "mm")
        self._text((left, top - 14 * _SCALE), "G operations a second", 14, _TEXT, "lm")
        self._text((left, 22 * _SCALE), self.roofline.description, 18, _TEXT, "lm")
        benchmark = self.benchmark
        note = f"median of {benchmark.rounds} rounds; load {benchmark.load:.1f} on {benchmark.processors} processors"
        self._text((right, top - 14 * _SCALE), note, 13, _QUIET, "rm")

    def _slants(self) -> None:
        """The roofs of memory: that of memory itself with its name, those of smaller footprints thin."""
        peak = max(self.roofline.compute(unit).rate for unit in self.units)
        named = []
        for footprint, rate in sorted(self.roofline.bandwidth.items()):
            is_memory = footprint == self.roofline.memory_footprint
            begin, end = max(self.x.low, self.y.low * 1e9 / rate.rate), min(self.x.high, peak / rate.rate)
            places = [(self.x.place(at), self.y.place(at * rate.rate / 1e9)) for at in (begin, end)]
            self.pen.line(places, fill=_MEMORY if is_memory else _CACHE, width=(3 if is_memory else 1) * _SCALE)
            self._take_line(*places[0], *places[1])
            named.append((rate, footprint, is_memory))
        # The names stand in the lower right corner, fastest first, where no point can be.
        lines = [f"{_size(footprint)}: {_rate(rate)} GB/s ({rate.kernel})" for rate, footprint, _ in named]
        for number, (line, (_, _, is_memory)) in enumerate(zip(reversed(lines), reversed(named), strict=True)):
            at = (self.x.end - 12 * _SCALE, self.y.start - (16 + 19 * number) * _SCALE)
            self._take(self._text(at, line, 13, _MEMORY if is_memory else _QUIET, "rm"))
        at = (self.x.end - 12 * _SCALE, self.y.start - (16 + 19 * len(lines)) * _SCALE)
        self._take(self._text(at, "bandwidth by footprint; the bold roof is memory's", 13, _QUIET, "rm"))

    def _flat(self, unit: Unit) -> None:
        roof = self.roofline.compute(unit)
        fastest = max(rate.rate for rate in self.roofline.bandwidth.values())
        place, begin = self.y.place(roof.rate / 1e9), self.x.place(max(self.x.low, roof.rate / fastest))
        self.pen.line((begin, place, self.x.end, place), fill=_COLOURS[unit], width=3 * _SCALE)
        self._take_line(begin, place, self.x.end, place)
        # Two roofs may lie close together: the upper one has its name above, the lower one below.
        is_upper = all(roof.rate >= self.roofline.compute(other).rate for other in self.units)
        at = (self.x.end - 12 * _SCALE, place + (-12 if is_upper else 13) * _SCALE)
        text = f"{_rate(roof)} {_WORDS[unit]} ({roof.kernel})"
        self._take(self._text(at, text, 14, _COLOURS[unit], "rm"))

    def _marks(self) -> None:
        """Points, each with a thin line up to its roof."""
        for point in self.points:
            x, y = self._at(point)
            roof = self.y.place(point.roof / 1e9)
            self.pen.line((x, y, x, roof), fill=_dim(_COLOURS[point.unit]), width=_SCALE)
            self.stems.append((x - 2, min(y, roof), x + 2, max(y, roof)))
            self.pen.line((x - 5 * _SCALE, roof, x + 5 * _SCALE, roof), fill=_COLOURS[point.unit], width=_SCALE)
        radius = 6 * _SCALE
        for point in self.points:
            x, y = self._at(point)
            box = (x - radius, y - radius, x + radius, y + radius)
            if point.unit is Unit.FLOP:
                self.pen.ellipse(box, fill=_COLOURS[point.unit], outline=_BACK, width=_SCALE)
            else:
                self.pen.rectangle(box, fill=_COLOURS[point.unit], outline=_BACK, width=_SCALE)
            self._take(box)

    def _at(self, point: Measurement) -> tuple[float, float]:
        return self.x.place(point.intensity), self.y.place(point.rate / 1e9)

    def _label(self, point: Measurement) -> None:
        """Name and share beside the point, where it covers nothing, is near, and is read without following lines across others."""
        text = f"{point.kernel} {significant(100 * point.share, 2)} %"
        x, y = self._at(point)
        left, top, right, bottom = self.pen.textbbox((0, 0), text, font=_font(14), anchor="lm")
        width, height = right - left, bottom - top
        best: tuple[float, Box] | None = None
        for distance in range(12 * _SCALE, 260 * _SCALE, 6 * _SCALE):
            for across, up in _DIRECTIONS:
                box = _around(x + across * (distance + width / 2), y - up * (distance + height / 2), width, height)
                if best is None or distance < best[0]:
                    cost = self._cost(distance, (x, y), box)
                    if cost is not None and (best is None or cost < best[0]):
                        best = cost, box
        if best is None:
            return
        box = best[1]
        end = _nearest(x, y, box)
        if math.dist((x, y), end) > 20 * _SCALE:
            self.pen.line((x, y, *end), fill=_QUIET, width=_SCALE)
            self._take_line(x, y, *end)
        self._text(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), text, 14, _TEXT, "mm")
        self._take(box)
        self.labels[point.kernel] = box

    def _cost(self, distance: float, point: tuple[float, float], box: Box) -> float | None:
        """How bad a place for a label is, in pixels of distance; None where it covers something."""
        if not self._is_free(box, self.taken):
            return None
        line = list(_along(point, _nearest(*point, box)))
        radius = 8 * _SCALE
        points = [
            (x - radius, y - radius, x + radius, y + radius) for x, y in map(self._at, self.points) if (x, y) != point
        ]
        crossed = sum(
            any(left < x < right and top < y < bottom for x, y in line)
            for left, top, right, bottom in (*points, *self.labels.values())
        )
        stems = sum(not self._is_free(box, [stem]) for stem in self.stems)
        return distance + 150 * _SCALE * crossed + 20 * _SCALE * stems

    def _is_free(self, box: Box, obstacles: Sequence[Box]) -> bool:
        left, top, right, bottom = box
        inside = left >= self.x.start and right <= self.x.end and top >= self.y.end and bottom <= self.y.start
        return inside and not any(
            left < other[2] and right > other[0] and top < other[3] and bottom > other[1] for other in obstacles
        )

    def _take(self, box: Box) -> None:
        self.taken.append(box)

    def _take_line(self, x: float, y: float, to_x: float, to_y: float) -> None:
        for at_x, at_y in _along((x, y), (to_x, to_y)):
            self._take((at_x - 4, at_y - 4, at_x + 4, at_y + 4))

    def _text(self, at: tuple[float, float], text: str, size: int, colour: Colour, anchor: str) -> Box:
        self.pen.text(at, text, font=_font(size), fill=colour, anchor=anchor)
        return self.pen.textbbox(at, text, font=_font(size), anchor=anchor)


_DIRECTIONS = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -0.7), (1, 0.7), (-1, -0.7), (-1, 0.7))
"""Across and up from a point, in the order in which they are tried."""


def _around(x: float, y: float, width: float, height: float) -> Box:
    """The box of a label about its middle, with a gap."""
    gap = 3 * _SCALE
    return x - width / 2 - gap, y - height / 2 - gap, x + width / 2 + gap, y + height / 2 + gap


def _nearest(x: float, y: float, box: Box) -> tuple[float, float]:
    """The place of a box next to a point."""
    return min(max(x, box[0]), box[2]), min(max(y, box[1]), box[3])


def _along(begin: tuple[float, float], end: tuple[float, float]) -> Iterator[tuple[float, float]]:
    """Places along a line, a few pixels apart."""
    pieces = max(1, round(math.dist(begin, end) / (4 * _SCALE)))
    for piece in range(pieces + 1):
        share = piece / pieces
        yield begin[0] + share * (end[0] - begin[0]), begin[1] + share * (end[1] - begin[1])


def _dim(colour: Colour) -> Colour:
    red, green, blue = (part * 2 // 5 for part in colour)
    return red, green, blue


def _rate(rate: Rate) -> str:
    return significant(rate.rate / 1e9, digits_of(rate.spread))


def _size(size: int) -> str:
    return f"{size >> 20} MiB"
