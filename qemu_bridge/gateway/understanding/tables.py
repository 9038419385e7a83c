"""What can be asked of a table of the kernel's: its rows by conditions and numbers, the greatest, sorted, how many.

A `Table` says which concepts name it, which are conditions of its columns (``sleeping``) and which are its columns (``thread`` of a process is
how many it has). From that every question is answered that puts these together: ``processes of root that are not sleeping``, ``slabs with more
than 1000 objects``, ``the three smallest modules``. To teach a table a condition, write it in its row of `TABLES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..rows import Condition


@dataclass(frozen=True, slots=True)
class Column:
    """A column with numbers.

    Attributes:
        name: in the overlay.
        unit: what it counts: ``bytes``, ``pages``, or a word such as ``threads``.
    """

    name: str
    unit: str


@dataclass(frozen=True, slots=True)
class Table:
    """One overlay, as questions mean it.

    Attributes:
        overlay: its name.
        says: its rows in words.
        nouns: concepts that name it.
        conditions: what a concept means of a row, with the words to tell it by; of several one is enough to name the table if it is in `implies`.
        columns: columns with numbers by concept.
        size: of these the one that ``larger``, ``biggest`` and a size in bytes are about.
        rank: the one that the ``biggest`` are found by, where that is another.
        owner: the column with the pid of a process.
        text: the column that ``called`` and ``containing`` are about.
        kind: of names in the guest that rows have.
        path: the column that a path is about.
        around: concepts that say nothing beside these.
        implies: concepts that name the table without a noun.
    """

    overlay: str
    says: str
    nouns: frozenset[str]
    conditions: Mapping[str, tuple[Condition, str]] = field(default_factory=dict)
    columns: Mapping[str, Column] = field(default_factory=dict)
    size: str = ""
    rank: str = ""
    owner: str = ""
    text: str = "name"
    kind: str = ""
    path: str = ""
    around: frozenset[str] = frozenset()
    implies: frozenset[str] = frozenset()

    @property
    def only_here(self) -> frozenset[str]:
        """Concepts that no other table knows."""
        return self.implies if self.overlay == "threads" else frozenset()


def _is(column: str, value: str, words: str) -> tuple[Condition, str]:
    return Condition(column, value), words


STATES = {
    "sleeping": _is("state", "S", "sleeping"),
    "runnable": _is("state", "R", "running on a CPU"),
    "zombie": _is("state", "Z", "zombie"),
    "idle": _is("state", "I", "idle"),
    "uninterruptible": _is("state", "D", "uninterruptible"),
    "stopped": _is("state", "T", "stopped"),
}
_ROOT = {"root": _is("uid", "0", "of user 0")}
_KERNEL_THREAD = {"kernel_thread": _is("parent_pid", "2", "kernel threads")}
_PROTOCOLS = {
    "tcp": _is("protocol", "tcp*", "TCP"),
    "udp": _is("protocol", "udp*", "UDP"),
    "tcp6": _is("protocol", "tcp6", "TCP6"),
    "udp6": _is("protocol", "udp6", "UDP6"),
    "unix": _is("protocol", "unix*", "UNIX"),
    "netlink": _is("protocol", "netlink*", "NETLINK"),
    "raw_socket": _is("protocol", "raw*", "RAW"),
    "packet_socket": _is("protocol", "packet*", "PACKET"),
}
_TCP_STATES = {
    "listen": _is("state", "LISTEN", "listening"),
    "established": _is("state", "ESTABLISHED", "established"),
    "time_wait": _is("state", "TIME_WAIT", "in TIME_WAIT"),
    "close_wait": _is("state", "CLOSE_WAIT", "in CLOSE_WAIT"),
    "syn_sent": _is("state", "SYN_SENT", "in SYN_SENT"),
}
LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
"""Levels of the kernel's log, the most severe first."""
_LEVELS = {
    "error": _is("level", "err", "of level err"),
    "warning": _is("level", "warning", "of level warning"),
    "critical": _is("level", "crit", "of level crit"),
    "level_notice": _is("level", "notice", "of level notice"),
    "level_info": _is("level", "info", "of level info"),
    "level_debug": _is("level", "debug", "of level debug"),
}

TABLES = (
    Table(
        "processes",
        "processes",
        frozenset({"process"}),
        {
            **STATES,
            **_ROOT,
            **_KERNEL_THREAD,
            "kernel": _is("parent_pid", "2", "of the kernel"),
            "command_line": (Condition("command_line", "", "!="), "with a command line"),
            "user_process": (Condition("parent_pid", "2", "!="), "no kernel threads"),
        },
        {
            "thread": Column("thread_count", "threads"),
            "memory": Column("resident_pages", "pages"),
            "size": Column("resident_pages", "pages"),
            "page": Column("resident_pages", "pages"),
            "resident": Column("resident_pages", "pages"),
            "pid": Column("pid", ""),
            "parent": Column("parent_pid", ""),
            "user": Column("uid", ""),
        },
        size="memory",
        owner="pid",
        around=frozenset({"user", "identify", "pid", "command_line"}),
        implies=frozenset({*STATES, "root", "kernel_thread", "user_process", "user", "uid", "child", "resident"}),
    ),
    Table(
        "threads",
        "threads",
        frozenset({"thread"}),
        {**STATES, **_ROOT, **_KERNEL_THREAD},
        {"nice": Column("nice", ""), "cpu": Column("cpu", ""), "user": Column("uid", ""), "pid": Column("pid", "")},
        owner="pid",
        around=frozenset({"process", "identify", "last", "nice"}),
        implies=frozenset({"nice", "cpu_number"}),
    ),
    Table(
        "areas",
        "memory areas",
        frozenset({"map", "executable_map", "writable_map"}),
        {
            "anonymous": _is("path", "", "without a file"),
            "file": (Condition("path", "", "!="), "of a file"),
            "executable": _is("permissions", "??x?", "executable"),
            "executable_map": _is("permissions", "??x?", "executable"),
            "writable": _is("permissions", "?w??", "writable"),
            "writable_map": _is("permissions", "?w??", "writable"),
        },
        owner="pid",
        text="path",
        kind="file",
        path="path",
        around=frozenset({"memory", "process", "map", "range", "file"}),
        implies=frozenset({"executable", "writable"}),
    ),
    Table(
        "page-cache",
        "files in memory",
        frozenset({"file", "cache"}),
        {"map": _is("mapped", "True", "mapped")},
        {"size": Column("size", "bytes"), "memory": Column("pages", "pages"), "page": Column("pages", "pages")},
        size="size",
        rank="page",
        text="path",
        kind="file",
        path="path",
        around=frozenset({"memory", "loaded"}),
    ),
    Table(
        "slabs",
        "slab caches",
        frozenset({"slab"}),
        {},
        {
            "object": Column("active_objects", "objects"),
            "object_size": Column("object_size", "bytes"),
            "size": Column("size", "bytes"),
            "memory": Column("size", "bytes"),
        },
        size="size",
        kind="slab",
        around=frozenset({"cache", "kernel"}),
    ),
    Table(
        "modules",
        "modules",
        frozenset({"module"}),
        {"use": (Condition("used_by", "", "!="), "in use"), "free": (Condition("used_by", ""), "not in use")},
        {"size": Column("size", "bytes"), "memory": Column("size", "bytes")},
        size="size",
        kind="module",
        around=frozenset({"kernel", "loaded"}),
    ),
    Table(
        "open-files",
        "open files",
        frozenset({"open_file"}),
        {
            "write_access": _is("access", "*w*", "open for writing"),
            "read_access": _is("access", "r*", "open for reading"),
            "deleted": _is("path", "*(deleted)", "deleted"),
            "socket": _is("path", "socket:*", "sockets"),
            "pipe": _is("path", "pipe:*", "pipes"),
        },
        {"open_file": Column("descriptor", "")},
        owner="pid",
        text="path",
        path="path",
        kind="file",
        around=frozenset({"file", "process", "open", "identify", "use"}),
        implies=frozenset({"write_access", "read_access", "deleted", "pipe"}),
    ),
    Table(
        "sockets",
        "sockets",
        frozenset({"socket", "port"}),
        {**_PROTOCOLS, **_TCP_STATES, **_ROOT, "process": (Condition("pids", "", "!="), "of a process")},
        {"user": Column("uid", "")},
        owner="pids",
        text="local",
        path="local",
        around=frozenset({"process", "open", "identify", "port", "socket", "where"}),
        implies=frozenset({*_PROTOCOLS, *_TCP_STATES, "port_number", "remote_number"}),
    ),
    Table(
        "mounts",
        "mounted file systems",
        frozenset({"mount"}),
        {"read_only": _is("options", "ro*", "read-only"), "writable": _is("options", "rw*", "writable")},
        text="point",
        path="point",
        around=frozenset({"file", "where"}),
        implies=frozenset({"read_only"}),
    ),
    Table(
        "dmesg",
        "kernel messages",
        frozenset({"log"}),
        _LEVELS,
        text="text",
        around=frozenset({"kernel"}),
        implies=frozenset({"error", "warning", "critical"}),
    ),
    Table(
        "kernel-stacks",
        "kernel stack traces",
        frozenset({"stack_trace"}),
        {},
        owner="pid",
        text="symbol",
        around=frozenset({"kernel", "process", "thread"}),
    ),
)
"""Every table that is asked about in this way."""
