"""Topics about memory itself: which, where, how much; and pointing at it in a viewer."""

from __future__ import annotations

import re

from .memory_targets import ALONE, AROUND, PARTS, THINGS, how_much, is_without, memory_of, show, where
from .reading import Reading
from .request import MACHINE, Meaning, Request, Unsure, call

_LOOK = {"show", "highlight", "go", "colour", "draw"}
_SUMMED = ("memory", "page", "size", "count", "show", "use", "all", "most", "sort", "into", "dump", "draw")
_ASK = {"where", "size", "count", "identify", "dump", "address", "translate"}


def viewer_or_where(reading: Reading) -> Meaning | None:
    """Show memory in the viewers, or say where or how much it is."""
    said = {item.removeprefix("not ") for item in reading.items}
    if not said <= THINGS | AROUND | _LOOK | _ASK | {"and", "shared", "all", "loaded", "viewer"}:
        return None
    if (
        not (reading.has(*THINGS) or is_without(reading))
        or (reading.has("identify") and not (is_without(reading) or _is_of(reading)))
        or reading.texts("address")
        or (reading.has("colour", "draw") and reading.has("process", "all"))
        or (reading.has("map") and not reading.has("highlight", "go"))
        or (reading.has("colour") and reading.asks_which)
        or (reading.has("mapped_file") and (reading.is_wish("list", "which", "what", "get")))
        or re.search(r"\bonly \S+ (uses?|maps?|has|holds?|owns?|needs?)\b", reading.question.lower())
    ):
        return None
    if not reading.has(*_LOOK, *_ASK, "range", "page", "shared", "memory", "target_text") and not (
        (reading.asks_whether and reading.has("cache") and reading.has("path", "name"))
        or _names_memory(reading)
        or _is_used(reading)
        or is_without(reading)
    ):
        return None
    is_asked_whether = reading.asks_whether and not reading.has(*_LOOK, "where")
    found = memory_of(reading)
    if not isinstance(found, tuple):
        return found
    target, says = found
    if "users of" in reading.question.lower() and reading.has("path", "name"):
        return None  # who maps it
    if reading.asks_users and reading.named("module") and not reading.has("memory", "size", "page"):
        return None  # which modules need it
    if reading.items <= {"kernel", "use"} and (reading.asks_which or is_asked_whether):
        return None  # which release it is, or whether it runs
    if _is_a_table(reading) or (is_asked_whether and reading.has("module")):
        return None
    counts_pages = reading.has("page", "memory") or any("page" in token.text.lower() for token in reading.tokens)
    types = [token.text for token in reading.tokens if token.kind == "name" and token.text.endswith("_struct")]
    if types and reading.has("size", "count") and not reading.has("slab", "memory", "page"):
        layout = call("type_layout", f"layout of struct {types[0]}", name=types[0])
        return Unsure("a struct and a slab cache are called so", (layout, how_much(target, says)))
    takes_memory = (
        reading.has("use")
        and not reading.has(*_LOOK, "where", "dump", "page", "range")
        and reading.has("owner", "name")
        and not reading.has("file", "process")
    )
    if (
        (reading.has("size") and not reading.has("highlight", "go"))
        or (reading.has("count") and counts_pages)
        or is_asked_whether
        or takes_memory
        or _is_total(reading)
    ):
        return how_much(target, says)
    if reading.has("count") or (reading.has("viewer") and not reading.has(*_LOOK)):
        return None
    if reading.has(*_LOOK) or not reading.has("where", "range", "page", "dump", "address", "translate"):
        is_where = reading.has("where", "address", "translate") and not reading.has("go", "highlight", "viewer")
        return where(target, says) if is_where else show(target, says)
    return where(target, says)


def by_class(reading: Reading) -> Meaning | None:
    """How much memory of each class of pages there is, in all of RAM or in what is named."""
    is_sum = reading.has("size", "count", "use", "sort") or reading.within({"mode_class", "memory"})
    is_about = reading.has("by_class") or (reading.has("mode_class") and is_sum)
    rest = [token for token in reading.tokens if token.concept not in ("by_class", "mode_class", *_SUMMED)]
    if not is_about or any(token.is_negated for token in reading.tokens):
        return None
    found: tuple[str, str] | Unsure | None = ALONE["all"]
    if rest:
        wanted = Reading(rest, reading.names, reading.question)
        found = memory_of(wanted) if wanted.items <= THINGS | {"and", "shared", "target_text"} else None
    if not isinstance(found, tuple):
        return found
    target, says = found
    words = ("resolve", MACHINE, target, "--by-class")
    return Request(f"how much memory of each class of pages: {says}", words, "resolve", {"target": target})


def _is_of(reading: Reading) -> bool:
    """Whether what belongs to something is to be shown: everything that belongs to crond."""
    belongs = any(token.text.lower().startswith("belong") for token in reading.tokens)
    is_shown = reading.has("show", "highlight")
    return belongs and (is_shown or (reading.has("all", "memory", "page") and not reading.asks_which))


def _is_total(reading: Reading) -> bool:
    """``free -m``, as a shell's command, or a total."""
    return re.search(r"^\s*free( -\w+)*\s*$|\btotal\b", reading.question.lower()) is not None


def _names_memory(reading: Reading) -> bool:
    """A part of a process, or of the kernel, named without a verb: ``crond's heap``."""
    return reading.has(*PARTS, *(concept for concept in ALONE if concept not in ("module", "slab", "cache")))


def _is_used(reading: Reading) -> bool:
    """What something occupies: ``what does module fat occupy``."""
    return reading.has("use") and reading.has("name", "owner") and not reading.has("process", "file", "path", "cache")


def _is_a_table(reading: Reading) -> bool:
    """Modules, slabs, processes and files that are not named, and are not pointed at, are a table's rows."""
    is_named = reading.has("owner", "name", "path", "target_text")
    is_pointed = reading.has("highlight", "go", "where", "size", "memory", "page", "viewer", "colour")
    if (
        (reading.asks_which or reading.within({"cache", "kernel"}))
        and reading.has("cache")
        and "file" in reading.question.lower()
    ):
        return True
    if reading.asks_contents and reading.has("cache") and not reading.has("highlight", "go"):
        return True
    is_list = reading.asks_of_each or any(
        "lib" in token.text.lower() for token in reading.tokens if token.concept == "file"
    )
    if is_list and not reading.has("highlight", "go", "path", "name"):
        is_pointed = is_named = False
    return (
        reading.has("module", "slab", "process", "file") and not is_named and not is_pointed and not reading.has(*PARTS)
    )
