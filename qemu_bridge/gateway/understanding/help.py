"""Topics about asking: what can be asked, which tables and targets there are, and a name with nothing about what of it is wanted."""

from __future__ import annotations

from .memory_targets import how_much, memory_of, show
from .reading import Reading
from .request import MACHINE, Meaning, Request, Unsure, call, overlay, verb

_AROUND = {"show", "all", "running"}


def help_(reading: Reading) -> Meaning | None:
    """What can be asked."""
    return (
        Request("what can be asked", ("ask", MACHINE, "--examples"), "")
        if reading.within({"help"}, {"show", "use"})
        else None
    )


def flows(reading: Reading) -> Meaning | None:
    """What the guests of the machine's network send each other."""
    if not reading.within({"flow"}, _AROUND | {"socket", "machines", "since"}):
        return None
    return call("flows", "the flows of the machine's network, with the processes at both ends")


def tables(reading: Reading) -> Meaning | None:
    """Which overlays there are."""
    return (
        call("overlays", "the overlays that there are")
        if reading.within({"table"}, {*_AROUND, "count"}) and not reading.has("count")
        else None
    )


def targets(reading: Reading) -> Meaning | None:
    """How a target may begin."""
    return verb("targets", "how a target may begin") if reading.within({"target"}, {"show", "all", "use"}) else None


def only_a_name(reading: Reading) -> Meaning | None:
    """A name, and nothing about what of it is wanted."""
    around = {"process", "module", "slab", "file", "identify", "and"}
    if (
        reading.owners
        and reading.within({"owner"}, around)
        and len(reading.owners) == 1
        and reading.owners[0].pid is None
    ):
        owner = reading.owners[0]
        row = overlay("processes", f"{owner}: its row of the process table", where=(owner.where,))
        if reading.asks_whether and reading.within({"owner"}):
            return row  # is it there?
        known = reading.pids(owner)
        areas = [verb("maps", f"memory map of {owner}", str(known[0].pid), pid=known[0].pid)] if len(known) == 1 else []
        return Unsure(f"what of {owner} is wanted is not said", (row, show(owner.target, f"memory of {owner}"), *areas))
    kind = next((kind for kind in ("slab", "module") if reading.has(kind) and reading.named(kind)), "")
    is_wish = reading.is_wish("load", "unload", "insert", "remove", "free")
    if kind and not is_wish and reading.within({"name", kind}):
        name = reading.named(kind)[0]
        return overlay(f"{kind}s", f"{kind} {name}", where=(("name", name),))
    if reading.within({"name"}, around) or reading.within({"path"}, around):
        found = memory_of(reading)
        if isinstance(found, tuple):
            return Unsure(f"what of {found[1]} is wanted is not said", (show(*found), how_much(*found)))
        return found
    return None
