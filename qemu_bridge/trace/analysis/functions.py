"""What functions cost: how often each was called, instructions of its own and with those that it called, and who called whom.

>>> with TraceReader(Path("demo.gbt")) as trace:
...     found = count_functions(trace, naming)
>>> found.rows[0].name, found.rows[0].calls, found.rows[0].own, found.rows[0].inclusive
('clear_page_erms', 2211, 1137465, 1137465)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..file.reader import TraceReader
from .call_trees import grow_tree
from .naming import Naming


@dataclass(slots=True)
class Edge:
    """How often one function called another, and instructions until the other returned, calls of its own among them."""

    name: str
    calls: int = 0
    inclusive: int = 0


@dataclass(slots=True)
class FunctionRow:
    """A function in one process, or in all.

    Attributes:
        process: of the page-table root, as in `Naming.process`; empty: all of them.
        name: its symbol; its address if it has none.
        calls: times that it was called, or entered by an exception. 0: it ran already when the recording began.
        own, inclusive: instructions of its own, and with those of what it called. What it calls by way of itself counts once.
        callers, callees: by name.
    """

    process: str
    name: str
    calls: int = 0
    own: int = 0
    inclusive: int = 0
    callers: dict[str, Edge] | None = None
    callees: dict[str, Edge] | None = None

    def edges(self, is_caller: bool) -> list[Edge]:
        """Those who called it, or whom it called; the costliest first."""
        found = self.callers if is_caller else self.callees
        return sorted((found or {}).values(), key=lambda edge: (-edge.inclusive, edge.name))


@dataclass(frozen=True, slots=True)
class Functions:
    """All functions, the costliest by their own instructions first, and the instructions of all."""

    rows: list[FunctionRow]
    instructions: int


def count_functions(
    trace: TraceReader, naming: Naming | None = None, by_process: bool = False, processes: Iterable[str] = ()
) -> Functions:
    """The functions of `trace`; a row for each process if `by_process`, and of the named `processes` only if there are any."""
    names, tree = grow_tree(trace, (naming or Naming()).during(trace.info.about))
    nodes = tree.nodes()
    keys, parents = nodes["key"].tolist(), nodes["parent"].tolist()
    calls, own = nodes["calls"].tolist(), nodes["instructions"].tolist()
    inclusive = list(own)
    for node in range(len(keys) - 1, 0, -1):  # a parent has a smaller number than its children
        inclusive[parents[node]] += inclusive[node]
    wanted, rows = frozenset(processes), dict[tuple[str, int], FunctionRow]()
    total = 0
    process_of = [""] * len(keys)
    is_first = _are_outermost(nodes["key"], nodes["parent"])
    for node in range(1, len(keys)):
        parent, key = parents[node], keys[node]
        if parent == 0:
            process_of[node] = names.name(key)
            total += inclusive[node] if not wanted or process_of[node] in wanted else 0
            continue
        process_of[node] = process_of[parent]
        spent = inclusive[node] if is_first[node] else 0
        if wanted and process_of[node] not in wanted:
            continue
        place = process_of[node] if by_process else "", key
        row = rows.get(place)
        if row is None:
            row = rows[place] = FunctionRow(place[0], names.name(key), callers={}, callees={})
        row.calls += calls[node]
        row.own += own[node]
        row.inclusive += spent
        if parents[parent]:
            caller = rows[place[0], keys[parent]]
            for edges, name in ((row.callers, caller.name), (caller.callees, row.name)):
                assert edges is not None
                edge = edges.setdefault(name, Edge(name))
                edge.calls += calls[node]
                edge.inclusive += spent
    found = sorted(rows.values(), key=lambda row: (-row.own, row.process, row.name))
    return Functions(found, total)


def _are_outermost(keys: npt.NDArray[Any], parents: npt.NDArray[Any]) -> list[bool]:
    """Of each node, whether its function is not among its callers already."""
    inside = np.zeros(len(keys), np.bool_)
    above = parents
    while above.any():
        inside |= (keys[above] == keys) & (above > 0)
        above = parents[above]
    outermost: list[bool] = (~inside).tolist()
    return outermost
