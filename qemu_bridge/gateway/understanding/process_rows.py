"""Rows of a table that has a column of processes: of all, or of the one that a question names."""

from __future__ import annotations

from collections.abc import Callable

from ..rows import Condition
from .reading import Reading
from .request import Meaning, Request, Unsure, overlay, verb


def process_rows(
    reading: Reading, table: str, what: str, by: str, *more: tuple[str, str] | Condition
) -> Meaning | None:
    """Rows of a table with a process's pid, all or those of one process."""
    count = reading.has("count")
    says = f"{'how many ' if count else ''}{what}"
    if not reading.owners:
        return overlay(table, f"{says} of all processes", count=count)
    if len(reading.owners) > 1:
        return None
    return each_process(
        reading,
        lambda pid, name: overlay(
            table, f"{says} of process {name} ({pid})", where=(("pid", str(pid)), *more), count=count
        ),
    )


def each_process(reading: Reading, make: Callable[[int, str], Request]) -> Meaning:
    """What `make` makes of the one process that is named; of several of that name, alternatives."""
    owner = reading.owners[0]
    known = reading.pids(owner)
    if not known:
        return Unsure(f"there is no {owner} in this guest", (verb("ps", "all processes"),))
    if len(known) == 1:
        name = known[0].name + (f", for {owner.said!r}" if owner.said not in ("", known[0].name) else "")
        return make(known[0].pid, name)
    return Unsure(
        f"{len(known)} processes are called {owner.name!r}", tuple(make(each.pid, each.name) for each in known[:4])
    )
