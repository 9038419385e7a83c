"""Topics about what processes have: memory areas, open files, sockets."""

from __future__ import annotations

import re

from ..rows import Condition
from .process_rows import each_process, process_rows
from .reading import Reading
from .request import Meaning, Request, Unsure, overlay, verb

_AROUND = {"show", "running", "all", "and"}


def memory_map(reading: Reading) -> Meaning | None:
    """The memory areas of a process, or who maps a file."""
    around = {*_AROUND, "memory", "process", "use", "range", "page", "dump", "read"}
    for concept, letters in (("executable_map", "??x?"), ("writable_map", "?w??")):
        if reading.within({concept, "owner"}, {*around, "map", "count"}) and len(reading.owners) == 1:
            return process_rows(
                reading, "areas", concept.replace("_map", " memory areas"), "pid", ("permissions", letters)
            )
    if reading.within({"mapped_file", "owner"}, around) and reading.is_wish("list", "which", "what", "get"):
        return process_rows(reading, "areas", "memory areas of files", "pid", Condition("path", "", "!="))
    if reading.within({"map", "owner", "count"}, around):
        return process_rows(reading, "areas", "memory areas", "pid")
    if reading.within({"map", "owner"}, around) and len(reading.owners) == 1 and not reading.has("page"):
        return each_process(
            reading, lambda pid, name: verb("maps", f"memory map of process {name} ({pid})", str(pid), pid=pid)
        )
    if reading.within({"map", "file", "owner"}, around) and len(reading.owners) == 1 and not _is_library(reading):
        return each_process(
            reading, lambda pid, name: verb("maps", f"memory map of process {name} ({pid})", str(pid), pid=pid)
        )
    others = [token for token in reading.tokens if token.kind == "name" and token.matches[0].kind != "process"]
    mapped = Reading(others, reading.names).named("file")
    is_one = len(reading.owners) == len(mapped) == 1
    if is_one and reading.within({"map", "owner", "name"}, {*_AROUND, "process", "file"}):
        return process_rows(reading, "areas", f"mappings of {mapped[0]}", "pid", ("path", mapped[0]))
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
        and (reading.has("map", "process", "identify") or "users of" in reading.question.lower())
        and reading.items <= {*around, "map", "path", "name", "file", "identify"}
        and len(files) == 1
        and (reading.has("map") or _is_program(files[0]))
    ):
        return overlay("areas", f"who maps file {files[0]}", where=(("path", files[0]),))
    if reading.within({"file", "owner"}, {*around, "map", "loaded"}) and len(reading.owners) == 1:
        word = next(token.text.lower() for token in reading.tokens if token.concept == "file")
        if "lib" in word or "shared" in word or "so " in word:
            return each_process(
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
    is_about = (
        is_about
        or reading.within({"open", "owner"}, _AROUND)
        or reading.within({"file", "owner", "change"})
        or reading.within({"file", "owner", "read"})
    )
    if reading.is_wish("open") and not reading.has("open_file"):
        return None
    paths = reading.texts("path")
    doing = re.search(r"\b(writing|reading)\b", reading.question.lower())
    if doing and len(paths) == 1 and reading.items <= {"path", "process", "change", "read", "file"}:
        access = ("access", f"*{doing[1][0]}*")
        return overlay("open-files", f"who has {paths[0]} open for {doing[1]}", where=(("path", paths[0]), access))
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
    if reading.within({"file", "owner", "change"}) or reading.within({"file", "owner", "read"}):
        letter, words = ("w", "writing") if reading.has("change") else ("r", "reading")
        return process_rows(reading, "open-files", f"files open for {words}", "pid", ("access", f"*{letter}*"))
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
    return process_rows(reading, "open-files", "open files", "pid")


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
    if (
        not reading.has(*about)
        or not reading.items <= around
        or reading.unclear
        or reading.has("open_file", "number")
        or (reading.has("unix") and reading.has("established"))
    ):
        return None
    chosen = [concept for concept in protocols if reading.has(concept)]
    where = [("protocol", protocols[concept]) for concept in chosen]
    words = [concept.replace("_socket", "").upper() for concept in chosen]
    if len(chosen) > 1 or len(reading.owners) > 1:
        return None
    is_open_port = reading.has("port") and reading.has("open") and not chosen
    if reading.has("listen") or (is_open_port and reading.number("port_number") is None):
        if reading.has("udp", "udp6"):
            return None  # they have no such state
        where.append(("state", "LISTEN"))
        words.append("listening")
    if reading.has("established"):
        where.append(("state", "ESTABLISHED"))
        words.append("established")
    remote = reading.number("remote_number")
    if remote is not None and reading.question.lower().lstrip().find("who") >= 0:
        # Who is connected to a port may be here, or at the other end.
        ends = [
            overlay("sockets", f"sockets {words} port {remote}", where=((column, f"*:{remote}"),))
            for column, words in (("local", "on"), ("remote", "to"))
        ]
        return Unsure("a port of this machine, or one elsewhere", tuple(ends))
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
        return each_process(reading, lambda pid, name: made((("pids", str(pid)),), f" of process {name} ({pid})"))
    return made()
