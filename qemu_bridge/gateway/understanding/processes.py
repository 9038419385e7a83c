"""Topics about processes and what the kernel keeps for them: tables with conditions."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

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
           "command_line", "size", "where", "thread", "newest", "oldest", "child", "parent", "page", "like", "name", "identify", "about", "status", "find", "start", "last"}  # fmt: skip
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
        )
        and not (reading.within({"use", "memory"}) and reading.is_wish("who", "who's", "whos"))
    ) or reading.has("name", "number"):
        return None
    if reading.unclear:
        token, names = reading.unclear[0]
        return Unsure(f"{token.text!r} may be {' or '.join(names[:6])}", tuple(_one(Owner(name)) for name in names[:4]))
    for topic in (_family, _top, _by_condition, _named, _plain):
        found = topic(reading)
        if found is not None:
            return found
    return None


def _one(owner: Owner) -> Request:
    return overlay("processes", f"{owner}: its row of the process table", where=(owner.where,))


def _plain(reading: Reading) -> Meaning | None:
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
    if not reading.within({"owner"}, may) or len(reading.owners) != 1:
        return None
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
    are_children = reading.within({"child", "owner"}, {*_AROUND, "process", "count", "pid"})
    are_children |= reading.within({"start", "owner", "process"}) and reading.tokens[-1].concept == "start"
    if are_children and len(reading.owners) == 1:
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
        and reading.tokens[-1].kind in ("name", "pid")
    )
    if is_parent and len(reading.owners) == 1:
        known = reading.pids(reading.owners[0])
        if len({each.parent_pid for each in known}) == 1:
            where = (("pid", str(known[0].parent_pid)),)
            return overlay("processes", f"the parent of {reading.owners[0]}", where=where)
    return None


def _children(pid: int, name: str, count: bool = False) -> Request:
    says = f"{'how many ' if count else ''}children of process {name} ({pid})"
    return overlay("processes", says, where=(("parent_pid", str(pid)),), count=count)


def _top(reading: Reading) -> Meaning | None:
    extremes = {"most", "least", "sort", "hog"}
    by_memory = reading.within({"process"}, {*_AROUND, *extremes, "memory", "use", "limit", "page", "size"})
    # What takes memory is a process, unless something else is named.
    by_memory |= reading.within({"memory"}, {*_AROUND, "most", "hog", "use", "limit"}) and reading.has("use", "hog")
    if reading.within({"process", "size"}, {*_AROUND, "memory", "use"}) and not reading.asks_of_each:
        return None
    by_memory |= reading.within({"process", "use", "memory"}, _AROUND)
    by_memory |= reading.question.strip().lower() == "top"
    by_memory |= reading.within({"hog"}, {*_AROUND, "most", "limit", "memory"})
    by_threads = reading.within({"process", "thread"}, {*_AROUND, *extremes, "limit", "use"})
    by_age = reading.within({"process"}, {*_AROUND, "newest", "oldest", "last", "start", "limit"}) and reading.has(
        "newest", "oldest", "last"
    )
    if not (by_memory or by_threads or by_age) or not (
        reading.has(*extremes, "use") or by_age or reading.within({"process", "size"}, _AROUND | {"memory"})
    ):
        return None
    is_one = not reading.is_plural("process") and (
        reading.has("process") or (reading.has("use") and not reading.has("hog"))
    )
    first = reading.number("limit") or (
        1 if is_one and not reading.asks_of_each and (not reading.has("sort") or reading.has("most", "least")) else _TOP
    )
    who = "the process" if first == 1 else f"the {first} processes"
    if by_age:
        word = "oldest" if reading.has("oldest") else "newest"
        says = f"the {word} process" if first == 1 else f"the {first} {word} processes"
        return overlay("threads", says, sort="started_ns", reverse=word == "newest", first=first)
    column, what = ("thread_count", "threads") if by_threads else ("resident_pages", "memory")
    says = f"{who} with the {'least' if reading.has('least') else 'most'} {what}"
    return overlay("processes", says, sort=column, reverse=not reading.has("least"), first=first)


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
    if reading.within({"when", "owner"}, {*_AROUND, "start", "process", "thread"}):
        return _table(reading, "threads", "when they started: threads", "pid")
    if not reading.within({"thread"}, {*_AROUND, "owner", "count", "process", "use"}) or reading.unclear:
        return None
    return _table(reading, "threads", "threads", "name")


def memory_map(reading: Reading) -> Meaning | None:
    """The memory areas of a process, or who maps a file."""
    around = {*_AROUND, "memory", "process", "use", "range", "page", "dump", "read"}
    for concept, letters in (("executable_map", "??x?"), ("writable_map", "?w??")):
        if reading.within({concept, "owner"}, {*around, "map", "count"}) and len(reading.owners) == 1:
            return _table(reading, "areas", concept.replace("_map", " memory areas"), "pid", ("permissions", letters))
    if reading.within({"map", "owner"}, around) and len(reading.owners) == 1 and not reading.has("page"):
        return _each(
            reading, lambda pid, name: verb("maps", f"memory map of process {name} ({pid})", str(pid), pid=pid)
        )
    if reading.within({"map", "file", "owner"}, around) and len(reading.owners) == 1:
        return _each(
            reading, lambda pid, name: verb("maps", f"memory map of process {name} ({pid})", str(pid), pid=pid)
        )
    if reading.within({"map"}, {*_AROUND, "memory", "process", "count"}) and not reading.has("memory"):
        return overlay(
            "areas",
            f"{'how many ' if reading.has('count') else ''}memory areas of all processes",
            count=reading.has("count"),
        )
    proc = [each for path in reading.texts("path") if (each := re.fullmatch("/proc/([0-9]+)/s?maps", path))]
    if reading.within({"path"}, {"show", "read"}) and proc:
        return verb("maps", f"memory map of process {proc[0][1]}", proc[0][1], pid=int(proc[0][1]))
    files = [*reading.texts("path"), *reading.named("file")]
    if (
        reading.has("map", "use")
        and (reading.has("map") or reading.has("process", "identify"))
        and reading.items <= {*around, "map", "path", "name", "file", "identify"}
        and len(files) == 1
        and (reading.has("map") or _is_program(files[0]))
    ):
        return overlay("areas", f"who maps file {files[0]}", where=(("path", files[0]),))
    if reading.within({"file", "owner"}, {*around, "map", "loaded"}) and len(reading.owners) == 1:
        word = next(token.text.lower() for token in reading.tokens if token.concept == "file")
        if "lib" in word or "shared" in word or "so " in word:
            return _each(
                reading,
                lambda pid, name: overlay(
                    "areas", f"libraries that process {name} ({pid}) maps", where=(("pid", str(pid)), ("path", "*.so*"))
                ),
            )
    return None


def open_files(reading: Reading) -> Meaning | None:
    """Open files: all, of a process, or who has a file open."""
    around = {
        *_AROUND,
        "process",
        "use",
        "count",
        "owner",
        "file",
        "identify",
        "most",
        "path",
        "name",
        "socket",
        "has",
        "open",
        "and",
        "like",
    }
    is_about = reading.has("open_file") or (reading.has("open") and reading.has("file", "path", "name"))
    is_about = is_about or reading.within({"open", "owner"}, _AROUND) or reading.within({"file", "owner", "change"})
    if reading.is_wish("open") and not reading.has("open_file"):
        return None
    paths = reading.texts("path")
    is_used = reading.within({"use", "path"}, {"process", "running", "file"}) or (
        reading.asks_which
        and (
            reading.within({"read", "path"}, {"process"})
            or (
                reading.within({"identify", "path"}, {"process", "file"})
                and re.search(r"\bhold", reading.question.lower())
            )
        )
    )
    if is_used and len(paths) == 1 and not _is_program(paths[0]):
        return overlay("open-files", f"who has {paths[0]} open", where=(("path", paths[0]),))
    if reading.within({"file", "owner", "change"}):
        return _table(
            Reading([token for token in reading.tokens if token.concept != "change"], reading.names),
            "open-files",
            "open files",
            "pid",
        )
    is_about = is_about or (
        reading.within({"file", "owner", "use"}, _AROUND | {"process", "open"}) and not _is_library(reading)
    )
    if (
        not is_about
        or not reading.items <= around | {"open_file"}
        or reading.has("most", "socket", "like")
        or reading.unclear
    ):
        return None
    files = [*reading.texts("path"), *([] if reading.owners else reading.named("file"))]
    if len(files) == 1 and not reading.owners:
        return overlay("open-files", f"who has {files[0]} open", where=(("path", files[0]),))
    if files or reading.has("name"):
        return None
    return _table(reading, "open-files", "open files", "pid")


def _is_program(path: str) -> bool:
    """Whether the file at `path` is one that processes map, not one that they write."""
    return any(part in ("bin", "sbin", "lib", "lib64", "usr") for part in path.split("/"))


def _is_library(reading: Reading) -> bool:
    return any("lib" in token.text.lower() for token in reading.tokens if token.concept == "file")


def sockets(reading: Reading) -> Meaning | None:
    """Sockets: by protocol, state, port and process."""
    protocols = {
        "tcp": "tcp*",
        "udp": "udp*",
        "tcp6": "tcp6",
        "udp6": "udp6",
        "unix": "unix*",
        "netlink": "netlink*",
        "raw_socket": "raw*",
        "packet_socket": "packet*",
    }
    around = {*_AROUND, *protocols, "listen", "established", "port", "port_number", "process", "owner", "count", "use", "open", "socket",
              "open_file", "identify", "number", "remote_port", "remote_number"}  # fmt: skip
    about = {"socket", "established", "port", "port_number", "remote_port", "listen", *protocols}
    if not reading.has(*about) or not reading.items <= around or reading.unclear or reading.has("open_file", "number"):
        return None
    chosen = [concept for concept in protocols if reading.has(concept)]
    where = [("protocol", protocols[concept]) for concept in chosen]
    words = [concept.replace("_socket", "").upper() for concept in chosen]
    if len(chosen) > 1 or len(reading.owners) > 1:
        return None
    is_open_port = reading.has("port") and reading.has("open") and not chosen
    if reading.has("listen") or (is_open_port and reading.number("port_number") is None):
        where.append(("state", "LISTEN"))
        words.append("listening")
    if reading.has("established"):
        where.append(("state", "ESTABLISHED"))
        words.append("established")
    remote = reading.number("remote_number")
    if remote is not None:
        where.append(("remote", f"*:{remote}"))
        words.append(f"to port {remote}")
    elif reading.has("remote_port"):
        return None
    port = reading.number("port_number")
    if port is not None:
        where.append(("local", f"*:{port}"))
        words.append(f"on port {port}")

    def made(more: tuple[tuple[str, str], ...] = (), of: str = "") -> Request:
        count = reading.has("count")
        says = f"{'how many ' if count else ''}sockets{': ' if words else ''}{', '.join(words)}{of}"
        return overlay("sockets", says, where=(*where, *more), count=count)

    if reading.owners:
        return _each(reading, lambda pid, name: made((("pids", str(pid)),), f" of process {name} ({pid})"))
    return made()


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
        or (reading.has("doing") and reading.has("owner", "process", "thread"))
    )
    if (
        not is_about
        or not reading.items <= around | {"stack_trace", "doing"}
        or reading.unclear
        or len(reading.owners) > 1
    ):
        return None
    if not reading.owners:
        return overlay("kernel-stacks", "kernel stack traces of all sleeping threads")
    owner = reading.owners[0]
    return overlay("kernel-stacks", f"where {owner} sleeps in the kernel", where=(owner.where,))


def _table(reading: Reading, table: str, what: str, by: str, *more: tuple[str, str]) -> Meaning | None:
    """Rows of a table with a process's pid, all or those of one process."""
    count = reading.has("count")
    says = f"{'how many ' if count else ''}{what}"
    if not reading.owners:
        return overlay(table, f"{says} of all processes", count=count)
    if len(reading.owners) > 1:
        return None
    return _each(
        reading,
        lambda pid, name: overlay(
            table, f"{says} of process {name} ({pid})", where=(("pid", str(pid)), *more), count=count
        ),
    )


def _each(reading: Reading, make: Callable[[int, str], Request]) -> Meaning:
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
