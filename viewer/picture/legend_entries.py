"""The entries of a legend: what the colours of a mode stand for.

Owners and kinds of difference have an entry each, with a size (`legend_entries`); values have ticks along a colour scale
(`scale_ticks`). A mode has one of the two; classes are listed by `viewer.picture.legend` itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qemu_bridge.memory.addresses import PAGE_SIZE
from qemu_bridge.wire.records import PageClass

from ..render.scene import Scene
from ..sources.heat import AGE_RANGE_S
from ..view.labels import describe_owner
from ..view.look import DEFAULT_HIDDEN, Mode, Transfer, value_ramp
from ..view.palette import DIFFERENCE_COLOURS, EQUAL_COLOURS, LEARNED_COLOURS, MOST_HOLDERS, Rgb

MOST_OWNERS = 14
GLOW = "just written"
HOLDERS = ("in one machine only", "in 2 machines", "in 3 machines", "in 4")
CHANGES = ("same", "changed", "appeared", "gone")
LEARNED = ("no learned loop", "learned", "proved", "run in place", "refused")
_TICKS = {
    Mode.ENTROPY: ((255, "8 bits a byte"), (191, "6"), (128, "4"), (64, "2"), (0, "0: all bytes alike")),
    Mode.WRITES: ((255, "all the time"), (100, "once, just now"), (0, "not of late")),
    Mode.EXECUTION: ((255, "most often"), (0, "never, or not counted")),
}


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """A colour, what it stands for, and how many bytes of RAM have it."""

    label: str
    colour: Rgb
    size_bytes: int


def scale_ticks(mode: Mode, transfer: Transfer) -> tuple[tuple[int, str], ...]:
    """(value 0-255, words) from the top of the scale to its foot; empty where colours are on no scale."""
    if mode is Mode.BYTES:
        return ((255, f"{transfer.high:#04x}"), (0, f"{transfer.low:#04x}"))
    if mode is Mode.AGE:
        # As `Heat.recency` has it.
        ages = ((0.0, "written now"), (5.0, "5 s ago"), (60.0, "a minute"), (AGE_RANGE_S, "10 minutes, or never"))
        return tuple((round(255 * (1 - np.log1p(age) / np.log1p(AGE_RANGE_S))), words) for age, words in ages)
    return _TICKS.get(mode, ())


def legend_entries(*scenes: Scene) -> list[LegendEntry]:
    """What the colours of owners or of a difference stand for, of the classes that show; empty in other modes.

    Of several machines in one picture each has owners of its own, and colours for them.
    """
    scene = scenes[0]
    if scene.page_map is None:
        return []
    if scene.look.mode is Mode.DIFFERENCE and scene.page_style.difference is not None:
        # What is gone is not there any more, whatever shows.
        entries = scene.page_map.entries[: scene.page_count]
        shows = np.isin(entries["page_class"], [int(page_class) for page_class in scene.visible])
        kinds = scene.page_style.difference[: len(shows)]
        counts = np.bincount(kinds[shows | (kinds == 3)], minlength=4)
        rows = zip(CHANGES, DIFFERENCE_COLOURS, counts.tolist(), strict=False)
        return [LegendEntry(words, colour, count * PAGE_SIZE) for words, colour, count in rows]
    if scene.look.mode is Mode.EQUAL:
        return _equal(scenes)
    if scene.look.mode is Mode.LEARNED and scene.page_style.learned is not None:
        counts = np.bincount(scene.page_style.learned.kinds, minlength=len(LEARNED))
        rows = zip(LEARNED, LEARNED_COLOURS, counts.tolist(), strict=True)
        return [LegendEntry(words, colour, count * PAGE_SIZE) for words, colour, count in rows][1:]
    if scene.look.mode is not Mode.OWNER:
        return []
    return [row for each in scenes for row in _owners(each, max(MOST_OWNERS // len(scenes), 1))]


def _equal(scenes: Sequence[Scene]) -> list[LegendEntry]:
    counts = np.zeros(MOST_HOLDERS + 1, np.int64)
    for scene in scenes:
        if scene.page_style.holders is not None:
            counts += np.bincount(np.minimum(scene.page_style.holders, MOST_HOLDERS), minlength=len(counts))
    most = min(len(scenes), MOST_HOLDERS) if len(scenes) > 1 else MOST_HOLDERS
    return [
        LegendEntry(
            words + (" or more" if number == MOST_HOLDERS and len(scenes) != MOST_HOLDERS else ""), colour, size
        )
        for number, words, colour, size in zip(
            range(1, most + 1), HOLDERS, EQUAL_COLOURS, (counts[1:] * PAGE_SIZE).tolist(), strict=False
        )
    ]


def glow_bytes(*scenes: Scene) -> int | None:
    """How many bytes of RAM glow as they were just written; None where nothing would: it is off, or nothing is watched."""
    look, heats = scenes[0].look, [scene.page_style.heat for scene in scenes]
    if not look.heat or look.mode.is_activity or not any(heat.has_writes for heat in heats):
        return None
    return sum(len(heat.hot) for heat in heats) * PAGE_SIZE


def explain(scene: Scene, *others: Scene) -> tuple[str, str]:
    """Why the colouring has nothing to show yet, and the way on; both empty where it has."""
    style = scene.page_style
    match scene.look.mode:
        case Mode.DIFFERENCE if style.difference is None:
            which = "one machine alone and a capture of it" if others else "a capture of this machine"
            return "Nothing to compare with.", f"Name {which}: --against FOLDER."
        case Mode.EQUAL if not others:
            return "There is one machine only.", "Name more of them: glassbox view ONE OTHER."
        case Mode.EQUAL if missing := sum(each.page_style.digests.stale_count for each in (scene, *others)):
            return "Pages are compared.", f"{missing} are left."
        case Mode.EXECUTION if style.executions is None:
            return "Execution is not watched.", "Press g in a window to watch it; the guest runs slower meanwhile."
        case Mode.LEARNED if style.learned is None or not style.learned.kinds.any():
            return "No learned loop is in memory.", "Start a machine with what glassbox learn found: --learned LIBRARY."
        case Mode.AGE | Mode.WRITES if not style.heat.has_writes:
            return "No write was seen yet.", "Writes show in a window or a video, while the guest runs."
        case Mode.ENTROPY if (missing := style.entropy.stale_count) > scene.page_count // 16:
            # Of fewer, as a running guest writes them, the old values still say enough.
            return "Entropy is worked out.", f"{missing} pages are left."
    return "", ""


class LegendEntryCache:
    """The last entries, for as long as they hold: a panel asks in every frame."""

    def __init__(self) -> None:
        self._key: object = None
        self._rows: list[LegendEntry] = []

    def rows(self, *scenes: Scene) -> list[LegendEntry]:
        """`legend_entries` of now."""
        key = [
            (scene, scene.content_revision, scene.look, id(scene.page_style.holders), id(scene.page_style.learned))
            for scene in scenes
        ]
        if key != self._key:
            self._key, self._rows = key, legend_entries(*scenes)
        return self._rows


def _owners(scene: Scene, most: int) -> list[LegendEntry]:
    assert scene.page_map is not None
    ids, counts = scene.count_owners()
    order = np.argsort(-counts, kind="stable")
    steps, beginning = value_ramp(scene.look), f"{scene.name}: " if scene.name else ""
    shades = scene.page_style.owner_slots.values(ids)
    rows = []
    for place in order[:most].tolist():
        red, green, blue = steps[int(shades[place])].tolist()
        words = beginning + describe_owner(scene.page_map.owners.get(int(ids[place])))
        rows.append(LegendEntry(words, (red, green, blue), int(counts[place]) * PAGE_SIZE))
    if rest := order[most:].tolist():
        rows.append(LegendEntry(f"{beginning}{len(rest)} more", (104, 110, 120), int(counts[rest].sum()) * PAGE_SIZE))
    return rows


def describe_layers(hidden: frozenset[PageClass], isolated: frozenset[PageClass]) -> str:
    """Which classes show, where it is not all: ``only page table``, ``without slab, zero``; else empty."""
    if isolated:
        return "only " + ", ".join(page_class.label for page_class in sorted(isolated))
    absent = sorted(hidden - DEFAULT_HIDDEN)
    return "without " + ", ".join(page_class.label for page_class in absent) if absent else ""
