"""Finds overlays, and runs one within a budget, with its errors contained.

Three sources, in this order: the modules of this package (`BUILT_IN`, then any other module with a global ``OVERLAY``); entry points of group ``glassbox.overlays`` of any installed
distribution; the file that ``GLASSBOX_OVERLAYS`` names. An entry point, or the global ``OVERLAY`` of the file, is an
overlay, or a list of them. What does not load, or is not an overlay, is skipped and reported in `Registry.skipped`.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import importlib.metadata
import json
import logging
import os
import re
import runpy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import msgspec

from ...errors import GlassBoxError, UsageError
from ...host.json_types import JsonValue
from ...kernel.budget import Budget, OutOfBudgetError, reason_of
from ...wire.records import OverlayInfo, OverlayTable
from . import (
    areas,
    dmesg,
    gpu_port,
    kernel_stacks,
    learned,
    modules,
    mounts,
    open_files,
    page_cache,
    processes,
    slabs,
    sockets,
)
from .overlay import Overlay, OverlayContext, Row, note_empty

logger = logging.getLogger(__name__)

GROUP = "glassbox.overlays"
DISTRIBUTION, BUILT_IN_ORIGIN = "glassbox-qemu", "built in"
VARIABLE = "GLASSBOX_OVERLAYS"
BUILT_IN: tuple[Overlay, ...] = (
    processes.PROCESSES,
    processes.THREADS,
    areas.AREAS,
    page_cache.PAGE_CACHE,
    slabs.SLABS,
    modules.MODULES,
    kernel_stacks.KERNEL_STACKS,
    open_files.OPEN_FILES,
    sockets.SOCKETS,
    mounts.MOUNTS,
    dmesg.DMESG,
    learned.LEARNED,
    gpu_port.GPU_PORT,
)
_LOADING_TIME_S = 5.0
_MAX_ANSWER_BYTES = 64 << 20
_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
_COLUMN = re.compile(r"[A-Za-z_]\w*(:[^:]{1,16})?")


@dataclass(frozen=True, slots=True)
class Registry:
    """The overlays by name, the origin of each, and what was skipped, a sentence each."""

    overlays: dict[str, Overlay]
    origins: dict[str, str]
    skipped: tuple[str, ...]

    def find(self, name: str) -> Overlay:
        """The overlay called `name`; `UsageError` when there is none."""
        try:
            return self.overlays[name]
        except KeyError:
            near = difflib.get_close_matches(name, self.overlays, n=2, cutoff=0.5)
            near += [known for known, one in self.overlays.items() if name.lower() in one.summary.lower().split()]
            hint = (
                f"did you mean {' or '.join(dict.fromkeys(near))}?" if near else f"there are {', '.join(self.overlays)}"
            )
            raise UsageError(f"there is no overlay {name!r}; {hint}") from None

    def infos(self) -> list[OverlayInfo]:
        """A record of each, in the order they were found."""
        return [OverlayInfo(name, one.summary, one.columns, self.origins[name]) for name, one in self.overlays.items()]


def find_overlays() -> Registry:
    """Load every overlay; of several with the same name the first is kept."""
    overlays: dict[str, Overlay] = {overlay.name: overlay for overlay in (*BUILT_IN, *_dropped_in())}
    origins = dict.fromkeys(overlays, BUILT_IN_ORIGIN)
    skipped: list[str] = []
    for origin, load in _foreign_sources():
        with _reported(f"what {origin} brings", skipped, Budget(_LOADING_TIME_S)):
            for overlay in map(_check, _as_list(load())):
                if overlay.name in overlays:
                    raise ValueError(f"the name {overlay.name!r} is taken: {origins[overlay.name]}")
                overlays[overlay.name], origins[overlay.name] = overlay, origin
    return Registry(overlays, origins, tuple(skipped))


def read_overlay(overlay: Overlay, context: OverlayContext, budget: Budget) -> OverlayTable:
    """The rows of `overlay` as JSON objects, as many as the budget allows. Returns whatever the overlay does."""
    rows: list[dict[str, JsonValue]] = []
    fields = tuple(column.split(":")[0] for column in overlay.columns)
    bytes_left = _MAX_ANSWER_BYTES
    with _reported(f"overlay {overlay.name}", budget.skipped, budget), context.objects.charged_to(budget):
        for row in overlay.rows(context, budget):
            budget.spend()
            made, size = _as_json(row, fields)
            bytes_left -= size
            if bytes_left < 0:
                raise OutOfBudgetError("too many bytes")
            rows.append(made)
        if not rows and getattr(overlay, "is_never_empty", False):
            note_empty(budget, overlay.name)
    return OverlayTable(overlay.name, overlay.columns, tuple(rows), budget.complete, tuple(budget.skipped))


def _dropped_in() -> Iterator[Overlay]:
    """Yield the overlays of modules in this package's folder that are not in `BUILT_IN`: their globals ``OVERLAY``."""
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        module = importlib.import_module(f".{path.stem}", __package__)
        if (overlay := getattr(module, "OVERLAY", None)) is not None:
            yield _check(overlay)


def _foreign_sources() -> Iterator[tuple[str, Callable[[], object]]]:
    found = importlib.metadata.entry_points(group=GROUP)
    # What other packages of ours bring is built in like the rest, and comes first.
    for entry in sorted(found, key=lambda entry: not _is_ours(entry)):
        distribution = entry.dist.name if entry.dist else "an unknown distribution"
        yield BUILT_IN_ORIGIN if _is_ours(entry) else f"{distribution} ({entry.name} = {entry.value})", entry.load
    if path := os.environ.get(VARIABLE):
        yield path, lambda: _load_file(path)


def _is_ours(entry: importlib.metadata.EntryPoint) -> bool:
    return entry.dist is not None and entry.dist.name == DISTRIBUTION


def _load_file(path: str) -> object:
    names = runpy.run_path(path)
    if "OVERLAY" not in names:
        raise ValueError("it has no global OVERLAY")
    return names["OVERLAY"]


def _as_list(found: object) -> Iterable[object]:
    return found if isinstance(found, (list, tuple)) else [found() if isinstance(found, type) else found]


class _Candidate(Protocol):
    """An object that may be an overlay: the four attributes, of any type."""

    name: object
    summary: object
    columns: object
    rows: object


def _check(found: object) -> Overlay:
    """`found` itself; `ValueError` or `AttributeError` if it is not an overlay."""
    overlay = cast(_Candidate, found)
    if not isinstance(overlay.name, str) or not _NAME.fullmatch(overlay.name) or overlay.name == "list":
        raise ValueError(f"{overlay.name!r} is not a valid name; use small letters, digits and hyphens")
    if not isinstance(overlay.summary, str):
        raise ValueError(f"the summary of {overlay.name} is not a string")
    columns = overlay.columns
    if (
        not isinstance(columns, tuple)
        or not columns
        or not all(isinstance(one, str) and _COLUMN.fullmatch(one) for one in columns)
    ):
        raise ValueError(f"the columns of {overlay.name} are not a tuple of field names")
    if not callable(overlay.rows):
        raise ValueError(f"{overlay.name} has no callable rows")
    return cast(Overlay, found)


def _as_json(row: Row, fields: tuple[str, ...]) -> tuple[dict[str, JsonValue], int]:
    """The JSON object of a row and its size; `ValueError` or `TypeError` for an invalid one."""
    if isinstance(row, msgspec.Struct):
        made = msgspec.to_builtins(row)
    elif dataclasses.is_dataclass(row) and not isinstance(row, type):
        # msgspec would silently turn sets and other types into lists and strings.
        made = dataclasses.asdict(row)
    else:
        raise TypeError(f"it yields a {type(row).__name__}, not a dataclass")
    for field in fields:
        if field not in made:
            raise ValueError(f"its rows lack the column {field}")
    return made, len(json.dumps(made))


@contextmanager
def _reported(what: str, skipped: list[str], budget: Budget) -> Iterator[None]:
    """Turn whatever the body raises into a sentence in `skipped`: it may run third-party code."""
    try:
        with budget.watch():
            yield
    except OutOfBudgetError as error:
        skipped.append(f"{what} exceeded its budget: {error}; ask for less, or pause the machine")
    except GlassBoxError as error:
        skipped.append(f"{what} ended early: {reason_of(error)}")
    except (Exception, SystemExit) as error:
        logger.debug("%s failed", what, exc_info=True)
        skipped.append(f"{what} failed and was skipped ({type(error).__name__}: {error})")
