"""What must hold at the entry of a loop for its kernel to run in its place, and for its rounds to run in any order: as data and as a sentence."""

from __future__ import annotations

from typing import Any

from .affine import Form
from .classify import Stream, Understood

PARALLEL = ("map", "reduction", "search", "copy", "fill")
"""Classes whose rounds may run in any order under the contract, or in parts for a search."""


def contract_of(found: Understood) -> dict[str, Any]:
    """The contract of a loop, in JSON values.

    - ``assumes``: registers that are taken to hold a number.
    - ``pages``: what is accessed in each round, which must be mapped RAM with that right; ``stride`` None: where data say.
    - ``rounds``: when a counter leaves the loop; ``bounded`` says whether one does.
    - ``narrow``: whether places follow counters of 32 bits or less, which may not wrap for the strides to hold.
    - ``apart``: pairs of places of which the ranges of all rounds may not overlap if rounds are to run in any order; None: they may not.
    - ``sentence``: the same for people.
    """
    pages = [
        {"access": "write" if each.is_store else "read", "at": _place(each), "stride": each.stride, "bytes": each.width}
        for each in found.streams
    ]
    rounds = [
        {"start": each.text, "step": each.step, "bits": each.bits, "until": each.comparison} for each in found.trips
    ]
    apart = _apart(found) if found.kind in PARALLEL else None
    contract: dict[str, Any] = {
        "assumes": dict.fromkeys(found.assumed, 0),
        "pages": pages,
        "rounds": rounds,
        "bounded": bool(rounds),
        "narrow": any(isinstance(term, Form) for each in found.streams if each.base for term in each.base.terms),
        "apart": apart,
    }
    return {**contract, "sentence": _sentence(found, apart)}


def _apart(found: Understood) -> list[list[str]]:
    """Places that are written, each with another one that is no constant away from it."""
    pairs = []
    for store in (each for each in found.streams if each.is_store):
        for other in found.streams:
            if other.base != store.base and not (
                other.is_store and found.streams.index(other) < found.streams.index(store)
            ):
                pairs.append([_place(store), _place(other)])
    return pairs


def _place(stream: Stream) -> str:
    return stream.text or ("in a loop inside" if stream.is_inner else "where data say")


def _sentence(found: Understood, apart: list[list[str]] | None) -> str:
    parts = [f"{name} = 0" for name in found.assumed]
    reads, writes = ([each for each in found.streams if each.is_store is is_store] for is_store in (False, True))
    for verb, streams in (("reads", reads), ("writes", writes)):
        places = dict.fromkeys(_place(each) for each in streams)
        if places:
            parts.append(f"RAM that it {verb}: {', '.join(places)}")
    for each in found.trips:
        parts.append(f"ends when {each.text} {each.step:+}·k {each.comparison} 0")
    if apart:
        parts.append(
            "rounds in any order where " + ", ".join(f"{one} does not overlap {other}" for one, other in apart)
        )
    return "; ".join(parts)
