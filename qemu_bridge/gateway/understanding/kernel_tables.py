"""Topics about tables of the kernel's as a whole: modules, slab caches, files in memory, mounts, the log; its version."""

from __future__ import annotations

import re

from .reading import Reading
from .request import Meaning, Unsure, call, overlay, verb

_AROUND = {"show", "all", "running"}
_TOP = 10


def kernel_version(reading: Reading) -> Meaning | None:
    """Release, build id and KASLR offset."""
    around = {*_AROUND, "kernel", "address", "size", "use", "identify", "start", "and"}
    is_which = reading.asks_which and reading.within({"kernel"}, {"running", "use"})
    if reading.within({"kernel_version"}, around) or is_which:
        return call("kernel", "the kernel's release, build id and KASLR offset")
    return None


def modules(reading: Reading) -> Meaning | None:
    """Kernel modules."""
    around = {
        *_AROUND,
        "depend",
        "last",
        "loaded",
        "count",
        "kernel",
        "limit",
        "memory",
        "use",
        "size",
        "name",
        "like",
        "about",
        "and",
    }
    is_used = (
        reading.within({"name"}, _AROUND | {"use", "depend"}) and reading.asks_users and bool(reading.named("module"))
    )
    if reading.absent and reading.within({"unknown", "loaded"}, {"module", "kernel"}):
        return overlay("modules", f"module {reading.absent}, if it is there", where=(("name", reading.absent),))
    if not reading.within({"module"}, around) and not reading.within({"name", "loaded"}, _AROUND) and not is_used:
        return None
    if reading.is_wish("load", "insert"):
        return None  # it would be done in the guest
    named = reading.named("module")
    if reading.has("name"):
        is_about_row = reading.has("loaded", "like", "running", "about") or reading.asks_whether or reading.asks_users
        is_about_row = is_about_row or reading.has("depend")
        is_sum = reading.has("count") and not reading.has("depend")
        if len(named) != 1 or not is_about_row or is_sum or reading.has("size", "memory"):
            return None
        return overlay("modules", f"module {named[0]}", where=(("name", named[0]),))
    if reading.has("highlight", "go", "memory"):
        return None
    if (
        reading.within({"module", "loaded", "last"}, {"kernel", "limit"})
        and "in the last" not in reading.question.lower()
    ):
        first = reading.number("limit") or (_TOP if reading.is_plural("module") else 1)
        return overlay(
            "modules",
            f"the last {first} modules that were loaded" if first > 1 else "the module that was loaded last",
            first=first,
        )
    if reading.has("count"):
        return overlay("modules", "how many modules are loaded", count=True)
    is_in_use = reading.within({"use", "module"}, {*_AROUND, "kernel"}) and "in use" in reading.question.lower()
    if is_in_use or (reading.asks_of_each and not reading.has("like", "limit")):
        return verb("modules", "loaded kernel modules")
    return (
        None
        if reading.has("size", "memory", "use", "limit", "like", "last")
        else verb("modules", "loaded kernel modules")
    )


def slabs(reading: Reading) -> Meaning | None:
    """Slab caches."""
    around = {
        *_AROUND,
        "cache",
        "count",
        "object",
        "memory",
        "use",
        "limit",
        "kernel",
        "name",
        "size",
        "identify",
    }
    if not any(reading.within({concept}, around) for concept in ("slab", "object")) and not reading.within(
        {"count", "name"}, around
    ):
        return None
    named = reading.named("slab")
    if reading.has("name"):
        is_about_row = (
            reading.has("object", "count") or (reading.has("slab") and reading.asks_which)
        ) and not reading.has("memory")
        return (
            overlay("slabs", f"slab cache {named[0]}: its objects and slabs", where=(("name", named[0]),))
            if len(named) == 1 and is_about_row
            else None
        )
    if reading.has("count"):
        return overlay("slabs", "how many slab caches there are", count=True) if not reading.has("object") else None
    if reading.has("memory", "size", "limit", "object", "identify") and not reading.asks_of_each:
        return None
    return overlay("slabs", "slab caches")


def files(reading: Reading) -> Meaning | None:
    """Files with pages in memory."""
    around = {
        *_AROUND,
        "cache",
        "file",
        "memory",
        "use",
        "hog",
        "limit",
        "count",
        "page",
        "size",
        "loaded",
        "like",
        "pattern",
        "map",
        *(("kernel",) if reading.has("cache") and "file" in reading.question.lower() else ()),
    }
    if not reading.has("cache", "file") or not reading.items <= around:
        return None
    if reading.within({"file", "loaded"}, _AROUND) and "lib" in reading.question.lower():
        return overlay("areas", "libraries that processes map", where=(("path", "*.so*"),))
    if reading.within({"use", "cache"}, {*_AROUND, "file"}):
        return overlay("page-cache", "files by memory, the greatest first", sort="pages", reverse=True)
    if reading.texts("pattern"):
        pattern = reading.texts("pattern")[0]
        return overlay("page-cache", f"files in memory like {pattern}", where=(("path", f"*{pattern}"),))
    if reading.has("count") and not reading.has("page", "size", "use"):
        return overlay("page-cache", "how many files are in memory", count=True)
    if reading.has("size", "count", "page", "use", "hog", "like", "map", "limit"):
        return None
    if reading.has("file") and not reading.has("memory", "cache", "loaded"):
        # Of files on a disk nothing is in RAM.
        return Unsure(
            "which files is not said: in memory, or open",
            (overlay("page-cache", "files in memory"), overlay("open-files", "open files of all processes")),
        )
    if (
        reading.has("show")
        and not reading.asks_contents
        and not reading.has("file")
        and not any("file" in token.text for token in reading.tokens)
    ):
        return None  # the page cache as memory, in a viewer
    return overlay("page-cache", "files in memory")


def mounts(reading: Reading) -> Meaning | None:
    """Mounted file systems."""
    around = {*_AROUND, "file", "where", "count", "like", "root", "path"}
    if not reading.within({"mount"}, around) or reading.has("like"):
        return None
    if reading.has("path"):
        if reading.is_wish("mount"):
            return None  # it would be done in the guest
        return overlay(
            "mounts", f"what is mounted at {reading.texts('path')[0]}", where=(("point", reading.texts("path")[0]),)
        )
    return overlay(
        "mounts", f"{'how many ' if reading.has('count') else ''}mounted file systems", count=reading.has("count")
    )


def log(reading: Reading) -> Meaning | None:
    """The kernel's log."""
    around = {
        *_AROUND,
        "kernel",
        "last",
        "most",
        "limit",
        "count",
        "error",
        "warning",
        "number",
        "read",
        "dump",
        "since",
        "newest",
        "console",
        "quoted",
        "like",
        "find",
        "string",
        "oldest",
    }
    if not reading.within({"log"}, around):
        if not reading.within({"kernel"}, {*_AROUND, "error", "warning", "count", "last", "since"}) or not reading.has(
            "error", "warning"
        ):
            return None
    if reading.has("quoted") or reading.has("like"):
        return (
            None
            if len(reading.texts("quoted")) != 1
            else overlay(
                "dmesg",
                f"kernel messages with {reading.texts('quoted')[0]!r}",
                where=(("text", f"*{reading.texts('quoted')[0]}*"),),
            )
        )
    if reading.has("console") and not reading.has("log"):
        return None
    where: tuple[tuple[str, str], ...] = ()
    says = "the kernel's log"
    if reading.has("error", "warning"):
        level = "err" if reading.has("error") else "warning"
        where, says = (("level", level),), f"kernel messages of level {level}"
    if reading.has("last", "most", "newest", "oldest", "limit", "number"):
        is_one = any(
            token.concept == "log" and re.search(r"\b(message|line|entry|kmsg)\b", token.text.lower())
            for token in reading.tokens
        )
        last = reading.number("limit") or reading.number("number") or (1 if is_one else _TOP)
        if re.search(r"\b(first|earliest|oldest)\b", reading.question.lower()):
            return overlay("dmesg", f"the first {last} of {says}", where=where, first=last)
        return overlay("dmesg", f"the last {last} of {says}", where=where, last=last)
    return overlay(
        "dmesg", f"{'how many lines: ' if reading.has('count') else ''}{says}", where=where, count=reading.has("count")
    )
