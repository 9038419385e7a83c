"""How the picture is coloured and what of it shows, as one value: `Look`.

A look is frozen; a change is a new one, so undo, bookmarks and a text to paste come for nothing:

>>> look = Look().with_layer([PageClass.SLAB], Layer.DIMMED)
>>> look.to_text()
'dim=slab'
>>> Look.from_text("mode=entropy,slice=0:0:0:1:1:0.5").mode
<Mode.ENTROPY: 'entropy'>

The text holds only what differs from the default, as ``key=value`` joined by commas: ``mode``, ``palette``;
``hide``, ``dim``, ``only`` with names of classes joined by ``+`` (``hide`` names all hidden classes, ``none`` for
none, ``all`` for all); ``bytes=LOW:HIGH:GAMMA:OPACITY``; ``slice=X:Y:Z:X:Y:Z``, the corners of the box that shows, 0 to 1;
``shade``, ``edges``, ``heat``, ``labels`` with 0 or 1. What is selected or found is no part of it: it belongs to the
moment (`viewer.render.scene.Scene.select`, `Scene.highlight`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from qemu_bridge.errors import UsageError
from qemu_bridge.wire.records import PageClass
from qemu_bridge.wire.view_text import LOOK_PARTS, check_box, check_transfer, format_numbers, read_parts

from . import palette

DEFAULT_HIDDEN = frozenset({PageClass.UNTOUCHED})
Corner = tuple[float, float, float]


class Mode(Enum):
    """What colours mean."""

    CLASS = "class"
    OWNER = "owner"
    BYTES = "bytes"
    ENTROPY = "entropy"
    AGE = "age"
    WRITES = "writes"
    EXECUTION = "execution"
    DIFFERENCE = "difference"
    EQUAL = "equal"
    LEARNED = "learned"

    @property
    def label(self) -> str:
        """As a menu shows it."""
        return _LABELS[self]

    @property
    def is_activity(self) -> bool:
        """Whether only pages with a value are solid, and all others are dimmed."""
        return self in (Mode.AGE, Mode.WRITES, Mode.EXECUTION, Mode.DIFFERENCE, Mode.EQUAL, Mode.LEARNED)


_LABELS = {
    Mode.CLASS: "class of page",
    Mode.OWNER: "owner",
    Mode.BYTES: "value of each byte",
    Mode.ENTROPY: "entropy of its bytes",
    Mode.AGE: "age of the last write",
    Mode.WRITES: "how often it is written",
    Mode.EXECUTION: "how often it is executed",
    Mode.DIFFERENCE: "difference from the other capture",
    Mode.EQUAL: "equal in several machines",
    Mode.LEARNED: "code of learned loops",
}


class Layer(Enum):
    """How a class shows. Where any is isolated, those that are not do not show."""

    SHOWN = "shown"
    DIMMED = "dimmed"
    HIDDEN = "hidden"
    ISOLATED = "isolated"


@dataclass(frozen=True, slots=True)
class Transfer:
    """From a byte's value to what shows: bytes from `low` to `high` (0-255), spread by `gamma`.

    `opacity`, 0 to 1, is how solid bytes in bricks of glass are; with 0 none shows. A byte of zero is never drawn.
    """

    low: int = 1
    high: int = 255
    gamma: float = 1.0
    opacity: float = 1.0

    def __post_init__(self) -> None:
        check_transfer((self.low, self.high, self.gamma, self.opacity))


@dataclass(frozen=True, slots=True)
class Slice:
    """The box that shows, as shares of the box that RAM fills; its faces are on the nearest faces of pages."""

    low: Corner = (0.0, 0.0, 0.0)
    high: Corner = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        check_box((*self.low, *self.high))

    def in_pages(self, extent: tuple[int, int, int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(first page, page past the last) along x, y, z of a box of `extent` pages; never less than one page."""
        first = tuple(min(round(a * n), n - 1) for a, n in zip(self.low, extent, strict=True))
        past = tuple(max(round(b * n), f + 1) for b, n, f in zip(self.high, extent, first, strict=True))
        return first, past


@dataclass(frozen=True, slots=True)
class Look:
    """How the picture looks.

    Attributes:
        mode: what colours mean.
        palette: a name of `palette.PALETTES`.
        hidden, dimmed, isolated: classes that are not simply shown; see `Layer`.
        transfer: which bytes show, and how bright.
        box: what part of RAM's box shows.
        shading: shadows and light that reaches corners less, so that structure can be read.
        owner_edges: bright lines where the owner changes.
        heat: written pages shine for a while.
        labels: names on the large regions.
    """

    mode: Mode = Mode.CLASS
    palette: str = palette.DEFAULT
    hidden: frozenset[PageClass] = DEFAULT_HIDDEN
    dimmed: frozenset[PageClass] = frozenset()
    isolated: frozenset[PageClass] = frozenset()
    transfer: Transfer = Transfer()
    box: Slice = Slice()
    shading: bool = True
    owner_edges: bool = False
    heat: bool = True
    labels: bool = True

    def __post_init__(self) -> None:
        if self.palette not in palette.PALETTES:
            raise UsageError(f"there is no palette {self.palette!r}; use one of {', '.join(palette.PALETTES)}")

    def layer(self, page_class: PageClass) -> Layer:
        """How a class shows by its own setting."""
        if page_class in self.isolated:
            return Layer.ISOLATED
        if page_class in self.hidden:
            return Layer.HIDDEN
        return Layer.DIMMED if page_class in self.dimmed else Layer.SHOWN

    def with_layer(self, classes: Iterable[PageClass], layer: Layer) -> Look:
        """The look in which `classes` show that way."""
        named = frozenset(classes)
        sets = {Layer.HIDDEN: self.hidden, Layer.DIMMED: self.dimmed, Layer.ISOLATED: self.isolated}
        hidden, dimmed, isolated = (old | named if kind is layer else old - named for kind, old in sets.items())
        return replace(self, hidden=hidden, dimmed=dimmed, isolated=isolated)

    def toggled(self, classes: Iterable[PageClass]) -> Look:
        """The look in which each of `classes` shows if it was hidden, and is hidden if it showed."""
        return replace(self, hidden=self.hidden ^ frozenset(classes))

    @property
    def visible(self) -> frozenset[PageClass]:
        """The classes that show, dimmed or not."""
        return self.isolated or frozenset(PageClass) - self.hidden

    def to_text(self) -> str:
        """The look as a short text; empty for the default one."""
        plain = Look()
        parts = {
            "mode": (self.mode.value, plain.mode.value),
            "palette": (self.palette, plain.palette),
            "hide": (_names(self.hidden), _names(plain.hidden)),
            "dim": (_names(self.dimmed), "none"),
            "only": (_names(self.isolated), "none"),
            "bytes": (_transfer_text(self.transfer), _transfer_text(plain.transfer)),
            "slice": (
                format_numbers((*self.box.low, *self.box.high)),
                format_numbers((*plain.box.low, *plain.box.high)),
            ),
            "shade": (str(int(self.shading)), "1"),
            "edges": (str(int(self.owner_edges)), "0"),
            "heat": (str(int(self.heat)), "1"),
            "labels": (str(int(self.labels)), "1"),
        }
        return ",".join(f"{key}={value}" for key, (value, usual) in parts.items() if value != usual)

    @classmethod
    def from_text(cls, text: str) -> Look:
        """The look that a text describes; `UsageError` for one that describes none."""
        return cls.from_parts(read_parts(text, LOOK_PARTS))

    @classmethod
    def from_parts(cls, parts: Mapping[str, Any]) -> Look:
        """The look of the parts of a text that are a look's; others are passed over."""
        values = {field: parts[name] for name, field in _FIELDS.items() if name in parts}
        if "mode" in parts:
            values["mode"] = Mode(parts["mode"])
        if "bytes" in parts:
            low, high, gamma, opacity = parts["bytes"]
            values["transfer"] = Transfer(int(low), int(high), gamma, opacity)
        if "slice" in parts:
            values["box"] = Slice(parts["slice"][:3], parts["slice"][3:])
        return cls(**values)


def value_ramp(look: Look) -> npt.NDArray[np.uint8]:
    """Colours of values 0 to 255 in the look's mode: sRGB, `uint8` of shape (256, 3)."""
    if look.mode is Mode.OWNER:
        return palette.owner_ramp(look.palette)
    if look.mode is Mode.EQUAL:
        return palette.equal_ramp()
    if look.mode is Mode.LEARNED:
        return palette.learned_ramp()
    return palette.difference_ramp() if look.mode is Mode.DIFFERENCE else palette.ramp(look.palette)


_FIELDS = {
    "palette": "palette",
    "hide": "hidden",
    "dim": "dimmed",
    "only": "isolated",
    "shade": "shading",
    "edges": "owner_edges",
    "heat": "heat",
    "labels": "labels",
}


def _names(classes: frozenset[PageClass]) -> str:
    if classes == frozenset(PageClass):
        return "all"
    return "+".join(page_class.word for page_class in sorted(classes)) or "none"


def _transfer_text(transfer: Transfer) -> str:
    return format_numbers((transfer.low, transfer.high, transfer.gamma, transfer.opacity))
