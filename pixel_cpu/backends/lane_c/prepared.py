"""Kernels that are too large for their text to be sent and read again: compiled here, loaded in another process."""

from __future__ import annotations

import ctypes
import os
import pickle
import threading
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from ...ir.model import Kernel, Memory, Module, Op, Region, Value
from ...ir.types import Type
from .compiler import LONG_SOURCE, build, open_library, processor_features
from .interpreter import Interpreted
from .kernel import LaneKernel
from .plan import Plan
from .separate import is_separate, separate_part, separate_sites
from .source import source, sources

NOT_COMPILED = "not compiled"
"""Why a lane ends that comes to a region which was left out; it goes on from there when it is compiled."""


def prepare(
    module: Module,
    kernel: str,
    only: Collection[int] | None = None,
    before: bytes | None = None,
    cancelled: threading.Event | None = None,
    **options: Any,  # noqa: ANN401  # those of `compile_kernel`
) -> bytes | None:
    """Compile a kernel that is too large for its text to be sent and read again; what `load_prepared` takes. None: it is not.

    `only` are the regions of its machine that are compiled: a lane that comes to others ends by the trap `NOT_COMPILED`, and does nothing
    there. `before` is what this gave for some, which others are added to, perhaps of a kernel that has no code but theirs. `cancelled` is that
    of `build`. Options are those of `compile_kernel`.
    """
    if only is None and kernel in module.compiled:
        return module.compiled[kernel]
    unit = module.kernels[kernel]
    if options.get("scalar") is False or options.get("counts") or options.get("timeline"):
        return None
    if not is_separate(module, unit):
        return None
    sites = separate_sites(module, unit)
    rows = [(op.name, op.text, op.memory, bool(op.memory and op.operands[0].type.is_signed), op.line) for op in sites]
    paths: list[str] = []
    head = Kernel(unit.name, unit.parameters, unit.memories, Region(), unit.group)
    known: list[_Row] = []
    if before is not None:
        head, paths, _, known = pickle.loads(before)  # from this program's own memory or cache
    made = separate_part(module, unit, sites, only, is_addition=before is not None, first_site=len(known))
    count = min(len(os.sched_getaffinity(0)), sum(map(len, made.functions)) // LONG_SOURCE)
    text, *others = sources(made, count) if count > 1 else [source([made])]
    path = str(build(text, options.get("level"), others, cancelled))
    if before is None:
        rows.append(("trap", NOT_COMPILED, None, False, None))
    return pickle.dumps((head, [*paths, path], processor_features(), [*known, *rows]))


def is_there(prepared: bytes) -> bool:
    """Whether the libraries of a prepared kernel are still in the cache, and for a processor like this one."""
    _, paths, features, *_ = pickle.loads(prepared)  # from this program's own cache
    return features == processor_features() and all(Path(path).exists() for path in paths)


def load_prepared(prepared: bytes) -> LaneKernel:
    """The kernel that `prepare` or `interpreter.prepare` made in this or another process of the user.

    `DeviceError` where its library is gone.
    """
    kernel, paths, _, *rest = pickle.loads(prepared)  # from this program's own memory or cache
    if len(rest) > 1:
        return Interpreted(kernel, paths[0], *rest)
    (rows,) = rest
    # Its table is written: another kernel that begins with the same library has others, with sites of their own.
    library = open_library(Path(paths[0]), is_own=len(paths) > 1)
    added = [open_library(Path(path)) for path in paths[1:]]
    for each in added:
        size = ctypes.c_uint64.in_dll(each, "gb_table_size").value
        table, more = ((ctypes.c_void_p * size).in_dll(one, "gb_table") for one in (library, each))
        for place, address in enumerate(more):
            if address and place < size - 1:
                table[place] = address
    return LaneKernel(kernel, Plan(1, 1, True), "", library, 0, _Sites(rows), counts=False, timeline=False)


_Row = tuple[str, str, Memory | None, bool, int | None]
"""An operation that may end a lane: its name and text, its memory and whether its index is signed, its line."""


class _Sites(Sequence[Op]):
    """Operations that may end a lane, made when they are asked for."""

    def __init__(self, rows: Sequence[_Row]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: Any) -> Any:  # noqa: ANN401  # a number
        name, text, memory, is_signed, line = self._rows[place]
        index = (Value(Type.I64 if is_signed else Type.U64),) if memory else ()
        return Op(name, index, memory=memory, text=text, line=line)
