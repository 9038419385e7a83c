"""Peaks of well-known cards from their vendor's documents, and what share of one a measured rate is.

>>> percent(5.8e9, find_card("RTX 3080").f32_flops, 3)
'0.0195 %'
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..errors import UsageError
from .rounds import Benchmark
from .work import Unit


@dataclass(frozen=True)
class Card:
    """What a card can do at most, as its vendor states it; `source` is the document and its year.

    `f32_flops` are those of its vector units in a second (an fma is two), without tensor cores, at the boost clock.
    """

    name: str
    f32_flops: float
    bytes_per_second: float
    source: str


CARDS = (
    Card("RTX 3080", 29.8e12, 760e9, "NVIDIA, Ampere GA102 GPU Architecture, whitepaper, 2020; 10 GB"),
    Card("A100", 19.5e12, 2039e9, "NVIDIA, A100 Tensor Core GPU, data sheet, 2021; SXM, 80 GB"),
    Card("H100", 67e12, 3350e9, "NVIDIA, H100 Tensor Core GPU, data sheet, 2023; SXM, 80 GB"),
)


def find_card(name: str) -> Card:
    """The card of that name, however it is spaced and spelt: ``rtx3080``, ``RTX 3080``; `UsageError` where the table has none."""
    by_name = {_plain(card.name): card for card in CARDS}
    if (wanted := _plain(name)) in by_name:
        return by_name[wanted]
    near = difflib.get_close_matches(wanted, by_name, 1)
    hint = f"did you mean {by_name[near[0]].name}?" if near else f"there are {', '.join(card.name for card in CARDS)}"
    raise UsageError(f"there are no figures of a card {name!r}; {hint}")


def _plain(name: str) -> str:
    return "".join(name.lower().split()).replace("-", "")


def digits_of(spread: float) -> int:
    """Digits that a rate whose measurements spread by this share of it has: 2 or 3."""
    return 3 if spread <= 0.01 else 2


def significant(value: float, digits: int) -> str:
    """`value` rounded to so many significant digits, without an exponent: ``0.0195``, ``1230``."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, places)
    # Rounding may have made a digit more of it: 0.0996 to 0.10.
    places = digits - 1 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:.{max(places, 0)}f}"


def percent(rate: float, peak: float, digits: int) -> str:
    """What share of `peak` a `rate` in the same unit is, in percent."""
    return f"{significant(100 * rate / peak, digits)} %"


@dataclass(frozen=True)
class Comparison:
    """A measured rate beside a card's peak, in operations or bytes a second; `share` in percent, with the digits that it has."""

    card: str
    device: str
    what: str
    rate: float
    peak: float
    share: str
    source: str


def compare(found: Benchmark, cards: Sequence[Card] = CARDS) -> list[Comparison]:
    """What was measured here beside what cards can do at most: arithmetic on `f32`, memory, and each kernel on floats.

    The peaks are the vendor's and not measured: a kernel on the card would reach a part of them.
    """
    return [
        Comparison(card.name, device, what, rate, peak, percent(rate, peak, digits_of(spread)), card.source)
        for card in cards
        for device, what, rate, spread, peak in _pairs(found, card)
    ]


def _pairs(found: Benchmark, card: Card) -> Iterator[tuple[str, str, float, float, float]]:
    for roofs in found.rooflines:
        memory = roofs.bandwidth[roofs.memory_footprint]
        yield roofs.device, "f32 arithmetic", roofs.flops.rate, roofs.flops.spread, card.f32_flops
        yield roofs.device, "memory", memory.rate, memory.spread, card.bytes_per_second
    for each in found.measurements:
        if each.unit is Unit.FLOP:
            yield each.device, each.kernel, each.rate, each.spread, card.f32_flops
