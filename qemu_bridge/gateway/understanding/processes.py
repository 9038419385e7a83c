"""Topics about processes and what the kernel keeps for them: tables with conditions."""

from __future__ import annotations

import re
from dataclasses import replace

from .process_rows import process_rows
from .reading import Owner, Reading
from .request import Meaning, Request, Unsure, overlay, verb

STATES = {
    "sleeping": ("S", "sleeping"),
    "runnable": ("R", "running on a CPU"),
    "zombie": ("Z", "zombie"),
    "idle": ("I", "idle"),
    "uninterruptible": ("D", "uninterruptible"),
    "stopped": ("T", "stopped"),
}
_TOP = 10
_AROUND = {"show", "running", "all", "and"}


def processes(reading: Reading) -> Meaning | None:
    """Processes: all, some, one, the largest, how many."""
    may = {*_AROUND, *STATES, "owner", "count", "root", "user", "uid", "number", "most", "least", "sort", "hog", "memory", "use", "limit", "pid", "kernel_thread",
           "command_line", "size", "where", "thread", "newest", "oldest", "child", "parent", "page", "like", "name", "identify", "about", "status", "find", "start", "last", "doing", "ended", "or", "mode_owner"}  # fmt: skip
    if reading.absent and reading.within({"unknown", "running"}, {"process"}):
        return overlay("processes", f"process {reading.absent}, if it is there", where=(("name", reading.absent),))
    # To run something is not to ask what runs.
    if not reading.items <= may | {"process"} or reading.is_wish("run", "start", "launch", "execute"):
        return None
    if (
        not reading.has(
            "process",
            *STATES,
            "pid",
            "child",
            "parent",
            "command_line",
            "kernel_thread",
            "owner",
            "running",
            "most",
            "hog",
            "doing",
            "mode_owner",
        )
        and not (
            reading.within({"use", "memory"}) and reading.is_wish("who", "who's", "whos", "what", "what's", "whats")
        )
    ) or reading.has("name", "number"):
        return None
    if reading.unclear:
        token, names = reading.unclear[0]
        return Unsure(f"{token.text!r} may be {' or '.join(names[:6])}", tuple(_one(Owner(name)) for name in names[:4]))
    for topic in (_family, _top, _by_condition, _named, _plain):
        found = topic(reading)
        if found is not None:
            return found
    return _by_age(reading, "process")


def _one(owner: Owner) -> Request:
    return overlay("processes", f"{owner}: its row of the process table", where=(owner.where,))


def _plain(reading: Reading) -> Meaning | None:
    if reading.within({"doing"}) and reading.asks_which:
        return verb("ps", "all processes")
    if reading.within({"running"}, {"show"}) and not reading.asks_whether:
        return verb("ps", "all processes")
    if not reading.within(
        {"process"},
        {
            *_AROUND,
            "count",
            "memory",
            "use",
            "pid",
            "command_line",
            "size",
            "identify",
            "like",
            "user",
            "status",
            "parent",
        },
    ):
        return None
    if reading.has("count"):
        return overlay("processes", "how many processes there are", count=True)
    if reading.has("size", "like"):
        return None
    if reading.has("user", "status", "parent"):
        return overlay("processes", "all processes, with parent, user and state")
    return verb("ps", "all processes")


def _named(reading: Reading) -> Meaning | None:
    may = {
        *_AROUND,
        "process",
        "pid",
        "command_line",
        "count",
        "like",
        "user",
        "parent",
        "status",
        "sleeping",
        "idle",
        "stopped",
        "identify",
        "about",
        "find",
    }
    if reading.has("command_line"):
        may |= {"start"}
    if reading.asks_whether or reading.has("running"):
        may |= {"ended", "or"}
    if not reading.within({"owner"}, may) or len(reading.owners) != 1:
        return None
    if reading.has("identify") and (reading.is_plural("process") or reading.has("all", "show")):
        return None  # whose tasks are meant, its threads or its children
    if reading.asks_what_it_does or (reading.has("or") and not reading.has("ended")):
        return None
    if reading.has("ended"):
        return _one(reading.owners[0])
    if reading.has("command_line") and reading.has("like"):
        return None  # what a command line contains
    owner = reading.owners[0]
    if reading.has("count"):
        return overlay("processes", f"how many processes are {owner}", where=(owner.where,), count=True)
    if reading.has("show") and not reading.has(
        "process", "pid", "command_line", "running", "status", "user", "parent", "about"
    ):
        return None  # pointed at in a viewer
    if (
        not reading.has(
            "process", "running", "pid", "command_line", "like", "user", "parent", "status", "about", *STATES
        )
        and owner.pid is None
    ):
        return None
    return _one(owner)


def _family(reading: Reading) -> Meaning | None:
    if reading.question.lower().startswith("whose child") and reading.within({"child", "owner"}):
        return _family(
            Reading(
                [replace(token, concept="parent") if token.concept == "child" else token for token in reading.tokens],
                reading.names,
            )
        )
    by_whom = re.search(r"\b(from|by) whom?\b", reading.question.lower()) is not None
    are_children = reading.within({"child", "owner"}, {*_AROUND, "process", "count", "pid"})
    are_children |= reading.within({"start", "owner", "process"}) and reading.tokens[-1].concept == "start"
    if are_children and not by_whom and len(reading.owners) == 1:
        parents = reading.pids(reading.owners[0])
        if len(parents) != 1:
            return Unsure(
                f"{reading.owners[0]} is not one process", tuple(_children(each.pid, each.name) for each in parents[:4])
            )
        return _children(parents[0].pid, parents[0].name, count=reading.has("count"))
    is_parent = reading.within({"parent", "owner"}, {*_AROUND, "process", "pid", "identify"})
    is_parent |= (
        reading.asks_which
        and reading.within({"start", "owner"}, {"process"})
        and (by_whom or reading.tokens[-1].kind in ("name", "pid"))
    )
    if is_parent and len(reading.owners) == 1:
        known = reading.pids(reading.owners[0])
        if not known:
            return Unsure(f"there is no {reading.owners[0]} in this guest", (verb("ps", "all processes"),))
        if len({each.parent_pid for each in known}) == 1:
            where = (("pid", str(known[0].parent_pid)),)
            return overlay("processes", f"the parent of {reading.owners[0]}", where=where)
    return None


def _children(pid: int, name: str, count: bool = False) -> Request:
    says = f"{'how many ' if count else ''}children of process {name} ({pid})"
    return overlay("processes", says, where=(("parent_pid", str(pid)),), count=count)


def _top(reading: Reading) -> Meaning | None:
    """Those that take the most memory, or started last; what is sorted, and by what, is in `table_questions`."""
    if reading.has("sort") and not reading.has("hog"):
        return None
    if (
        reading.within({"thread", "process"}, {*_AROUND, "count", "has"})
        and reading.asks_of_each
        and not reading.has("limit")
    ):
        return overlay("processes", "processes, with how many threads each has", sort="thread_count", reverse=True)
    by_memory = reading.within(
        {"process"}, {*_AROUND, "most", "least", "hog", "memory", "use", "limit", "page", "size"}
    )
    # What takes memory is a process, unless something else is named.
    by_memory |= reading.within({"memory"}, {*_AROUND, "most", "hog", "use", "limit"}) and (
        reading.has("use", "hog") or reading.within({"most", "limit", "memory"}, _AROUND)
    )
    if reading.within({"process", "size"}, {*_AROUND, "memory", "use"}) and not reading.asks_of_each:
        return None
    by_memory |= reading.within({"process", "use", "memory"}, _AROUND)
    by_memory |= reading.within({"use", "memory"}) and reading.asks_which
    by_memory |= reading.question.strip().lower() == "top"
    by_memory |= reading.within({"mode_owner", "memory"}, _AROUND | {"size", "use"})
    by_memory |= reading.within({"hog"}, {*_AROUND, "most", "limit", "memory"})
    is_asked_of_all = reading.within({"process", "size"}, _AROUND | {"memory"})
    if not by_memory or not (reading.has("most", "least", "hog", "use", "mode_owner") or is_asked_of_all):
        return None
    is_one = not reading.is_plural("process") and (
        reading.has("process") or (reading.has("use") and not reading.has("hog"))
    )
    is_each = re.search(r"\b(each|every|per)\b", reading.question.lower()) is not None and reading.has("process", "hog")
    first = reading.number("limit") or (1 if is_one and not reading.asks_of_each else None if is_each else _TOP)
    who = "the process" if first == 1 else "processes, those first" if first is None else f"the {first} processes"
    says = f"{who} with the {'least' if reading.has('least') else 'most'} memory"
    return overlay("processes", says, sort="resident_pages", reverse=not reading.has("least"), first=first)


def _by_age(reading: Reading, noun: str) -> Meaning | None:
    """Processes, or threads, that started first or last."""
    if not reading.within({noun}, {*_AROUND, "newest", "oldest", "last", "start", "limit"}) or not reading.has(
        "newest", "oldest", "last"
    ):
        return None
    first = reading.number("limit") or (_TOP if reading.is_plural(noun) and not reading.asks_one else 1)
    word, nouns = "oldest" if reading.has("oldest") else "newest", {"process": "processes", "thread": "threads"}[noun]
    says = f"the {word} {noun}" if first == 1 else f"the {first} {word} {nouns}"
    if (noun, word) == ("process", "newest"):
        says += ", by their threads: a new thread may be of an older process"
    return overlay("threads", says, sort="started_ns", reverse=word == "newest", first=first)


def _by_condition(reading: Reading) -> Meaning | None:
    states = [concept for concept in STATES if reading.has(concept)]
    around = {*_AROUND, *STATES, "process", "count", "root", "user", "uid", "kernel_thread", "thread", "use"}
    if reading.has("root", "uid"):
        around.add("identify")  # that belong to root
    if not reading.items <= around or reading.has("use"):
        return None
    where: list[tuple[str, str]] = []
    words = []
    if len(states) == 1:
        where.append(("state", STATES[states[0]][0]))
        words.append(STATES[states[0]][1])
    elif states:
        return None
    if reading.has("root") or reading.number("uid") is not None:
        uid = reading.number("uid") or 0
        where.append(("uid", str(uid)))
        words.append(f"of user {uid}")
    if reading.has("kernel_thread"):
        where.append(("parent_pid", "2"))
        words.append("kernel threads")
    if not where or (reading.has("user") and reading.number("uid") is None and not reading.has("root")):
        return None
    table = "threads" if reading.has("thread") and not reading.has("process", "kernel_thread") else "processes"
    count = reading.has("count")
    says = f"{'how many ' if count else ''}{table}: {', '.join(words)}"
    return overlay(table, says, where=tuple(where), count=count)


def threads(reading: Reading) -> Meaning | None:
    """Threads, of all processes or of one."""
    if reading.within({"when", "owner"}, {*_AROUND, "start", "process", "thread", "status"}):
        return process_rows(reading, "threads", "when they started: threads", "pid")
    if (found := _by_age(reading, "thread")) is not None:
        return found
    if not reading.within({"thread"}, {*_AROUND, "owner", "count", "process", "use"}) or reading.unclear:
        return None
    return process_rows(reading, "threads", "threads", "name")


def stack_traces(reading: Reading) -> Meaning | None:
    """Where threads sleep in the kernel."""
    around = {
        *_AROUND,
        "owner",
        "kernel",
        "process",
        "thread",
        "stack",
        "kernel_stack",
        "where",
        "sleeping",
        "why",
        "symbol",
    }
    is_about = (
        reading.has("stack_trace")
        or (
            reading.within({"sleeping", "owner"}, {"where", "why", "kernel", "process", "thread"})
            and reading.has("where", "why")
        )
        or reading.within({"sleeping", "owner", "symbol"}, {"where", "kernel"})
        or (reading.question.lower().find("what make") >= 0 and reading.within({"take", "owner"}, {"show", "process"}))
        or (reading.asks_what_it_does and reading.is_about_now and reading.within({"owner"}, {"process"}))
        or (reading.has("doing") and reading.has("owner", "process", "thread"))
    )
    if (
        not is_about
        or not reading.items <= around | {"stack_trace", "doing", "take"}
        or reading.unclear
        or len(reading.owners) > 1
    ):
        return None
    if not reading.owners:
        return overlay("kernel-stacks", "kernel stack traces of all sleeping threads")
    owner = reading.owners[0]
    return overlay("kernel-stacks", f"where {owner} sleeps in the kernel", where=(owner.where,))
