"""What a request has in it, as marks: its verb, its table, its conditions, its order, the terms of its target; and in which a concept can be.

A new concept asks back until its row is written in `MARKS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...wire.operations import Permission
from .memory_targets import ALONE, KERNEL_PARTS, PAGE_CLASSES, PARTS, PROCESS_CLASSES
from .quantities import NEGATED
from .request import Request
from .tables import TABLES

ROWS = "processes threads areas page-cache slabs modules open-files sockets mounts dmesg kernel-stacks"
_OF_PROCESSES = "processes threads areas open-files sockets kernel-stacks identify target-process record"
_OF_MEMORY = "target fly-to processes areas page-cache slabs modules find snap record-video capture compare status read identify dirty sym maps"
MARKS: dict[str, str] = {
    # What is to be done. To show, to list and to print are what every answer does.
    "show": "reads",
    "dump": "rows target read capture type_layout",
    "read": "read find identify page-cache dmesg console maps modules",
    "find": "rows find find_symbols type_names type_layout sym identify",
    "take": "compare dirty capture snap record-video record total sort:resident_pages kernel-stacks clear mode highlight",
    "start": "record view parent parent_pid started trace_status",
    "stop": "trace_disarm clear",
    "draw": "snap highlight mode",
    "run": "exec",
    "set": "fly-to",
    "go": "highlight fly-to",
    "highlight": "highlight mode fly-to",
    "clear": "clear",
    "pause": "pause status",
    "resume": "resume status",
    "shutdown": "stop status",
    "compare": "compare",
    "identify": f"mode=owner identify fly-to {ROWS} target",
    "translate": "identify read sym fly-to resolve",
    "about": "processes modules identify type_layout sym",
    "where": "resolve sym find kernel-stacks top mounts identify highlight",
    "when": "started status",
    "why": "kernel-stacks",
    # Things, and what they are in.
    "process": f"{_OF_PROCESSES} top kernel.stack class:page-table mode=owner",
    "kernel_thread": "parent_pid",
    "thread": "threads thread_count kernel-stacks",
    "file": "page-cache open-files areas file path mapped",
    "cache": "page-cache class:page-cache slabs slab file",
    "open_file": "open-files",
    "open": "open-files sockets view viewers",
    "listen": "state!=ESTABLISHED",
    "socket": "sockets socket:* flows",
    "port": "sockets local remote",
    "protocol": "sockets",
    "remote_port": "sockets",
    "module": "modules module kernel.modules identify",
    "loaded": "modules areas page-cache module file",
    "depend": "modules",
    "slab": "slabs slab kernel.slab",
    "object": "slabs",
    "mount": "mounts",
    "log": "dmesg console",
    "level": "dmesg",
    "console": "console",
    "stack_trace": "kernel-stacks",
    "doing": "kernel-stacks ps",
    "symbol": "find_symbols sym identify kernel-stacks top read fly-to",
    "address": "identify fly-to sym read resolve kernel maps",
    "struct": "type_layout type_names",
    "status": "status processes started trace_status",
    "kernel_version": "kernel",
    "machines": "machines flows",
    "viewer": "highlight fly-to viewers view",
    "table": f"overlays {ROWS} find_symbols",
    "target": "targets",
    "help": "ask",
    "event": "events",
    "flow": "flows",
    "epoch": "dirty",
    "since": "dirty compare",
    "only": "any",
    "part": "target",
    "unit": "total status",
    "briefly": "pause reads record record-video",
    "edge": "resolve maps sym",
    "each": "each",
    "user_process": "no parent_pid",
    "lasting": "record record-video",
    "how": "status by-class type_layout kernel-stacks ask identify maps",
    "capture": "compare capture",
    "change": "compare dirty write_access",
    "trace": "record top trace_status trace_disarm",
    "hot": "top",
    "picture": "snap",
    "video": "record-video",
    "second": "record record-video",
    "user_mode": "only-user",
    "permission": "permissions areas mounts",
    "boot": "dmesg status console",
    # Memory.
    "memory": _OF_MEMORY,
    "page": "target fly-to identify dirty page-cache read compare find resident_pages layout:page",
    "frame": "identify fly-to",
    "range": "resolve maps areas",
    "mapped_file": "path!=",
    "map": "maps areas mapped identify target-process",
    "executable_map": "permissions",
    "writable_map": "permissions",
    "memmap": "layout:page",
    "kernel": "kernel dmesg modules kernel-stacks slabs page-cache find_symbols sym type_layout only-kernel identify read fly-to parent_pid",
    "all": "all only highlight resolve capture find snap record-video compare dirty negated everything",
    "shared": "shared",
    "shmem": "filesystem",
    "text": "find top",
    "use": "processes total resolve open-files areas sockets page-cache modules slabs status identify",
    "hog": "sort:resident_pages sort:pages total",
    "by_class": "by-class identify",
    "mode_owner": "mode=owner processes",
    "mode_class": "by-class mode=class",
    "mode_entropy": "mode=entropy",
    "mode_age": "mode=age",
    "mode_writes": "mode=writes",
    "mode_execution": "mode=execution record",
    "mode_bytes": "mode=bytes",
    "colour": "mode highlight",
    # How many, which, in what order.
    "count": "count total slabs viewers thread_count active_objects",
    "size": "total size resident_pages pages status type_layout object_size modules slabs processes",
    "total": "count total status by-class",
    "most": "greatest top by-class",
    "least": "least",
    "newest": "newest",
    "oldest": "oldest",
    "last": "last compare capture newest top cpu",
    "sort": "sort",
    "ascending": "ascending",
    "descending": "greatest",
    "by_name": "sort:name sort:path",
    "resident": "resident_pages total",
    "like": "where find find_symbols type_names path compare modules target",
    "at_least": "at_least",
    "string": "find path text command_line",
    "regex": "regex",
    "below": "below",
    "or": "either",
    "and": "any",
    # Conditions that are in no table of `tables`, or stand for more than those.
    "child": "parent_pid parent",
    "parent": "parent all-rows",
    "user": "uid processes",
    "pid": _OF_PROCESSES,
    "command_line": "processes",
    "running": f"{_OF_PROCESSES} status exec kernel trace_status",
    "sleeping": "kernel-stacks",
    "stopped": "status",
    "ended": "processes",
    "error": "find",
    "root": "find",
    "established": "viewers",
    "executable": "identify",
    "writable": "identify",
    "free": "identify",
    "filesystem": "filesystem",
}  # fmt: skip
"""By concept the marks of requests that account for it; what `tables` and `memory_targets` say of it is added."""
ONLY_ACCOUNTED = frozenset(
    "permission only part lasting briefly unit edge each how total level protocol boot several versus".split()
)
"""Concepts that no topic reads: whether an answer can be meant with them is seen here alone."""
WORDS = {
    "at address": "identify read fly-to", "at offset": "identify read fly-to", "at location": "identify read fly-to",
    "from": "any", "between": "shared compare span flows", "after": "dirty compare mode", "area": "maps areas target", "region": "maps areas target",
    "segment": "maps areas target", "section": "maps areas target", "reading": "read find identify open-files", "memory used by": "total target",
    "contains": "identify where find find_symbols type_names", "enabled": "kernel trace_status", "memory image": "find capture compare",
    **dict.fromkeys(("virtual", "virtual addr", "virt", "va", "kva", "gva", "vaddr", "linear", "virtual address"), "va"),
    "hide": "clear hide only", "binary": "processes threads areas target-process", "a lot of": "any", "lots of": "any", "plenty of": "any",
}  # fmt: skip
"""By word the marks that account for it, where they are others than those of its concept."""


def marks_in(request: Request) -> Iterator[str]:
    """What a request has in it."""
    verb, shape = request.words[0], request.shape
    yield "any"
    if not shape.count and "--total" not in request.words:
        yield "each"
    if request.permission is Permission.READ:
        yield "reads"
    table = request.words[2] if verb in ("overlay", "call") else {"ps": "processes", "maps": "areas"}.get(verb, verb)
    yield verb
    yield table
    if table in ROWS.split():
        yield "rows"
    yield from _shape_marks(request)
    if table in ROWS.split() and (shape.first, shape.last, shape.count) == (None, None, False):
        yield "everything"
    if verb == "status" and len(request.words) == 1:
        yield "machines"
    if verb == "trace":
        yield "top" if request.words[1] == "top" else "record"
    if verb == "peek":
        yield "read"
    if table == "processes" and not shape.where and shape.first is None:
        yield "all-rows"
    if any(word.startswith("va:") for word in request.words):
        yield "va"
    if "--only" in request.words or "--kernel" in request.words:
        yield "only-kernel"
    if "--user" in request.words:
        yield "only-user"
    if verb == "snap" and "--at" in request.words:
        yield from ("mode", request.words[request.words.index("--at") + 1])
    if verb == "highlight" and not request.arguments.get("target", ""):
        yield "clear"
    if verb in ("resolve", "highlight") or "--target" in request.words:
        yield "target"
    for flag in ("--total", "--by-class", "--regex"):
        if flag in request.words:
            yield flag[2:]
    if verb == "fly-to" and request.words[-1].startswith(("hide=", "only=")):
        kind, _, classes = request.words[-1].partition("=")
        yield from (kind, "target")
        yield from (f"{'not ' * (kind == 'only')}page-class {each}" for each in classes.split("+"))
    if verb == "fly-to" and "mode=" in request.words[-1]:
        yield "mode"
        yield request.words[-1]
    if table == "type_layout" and request.arguments.get("name") == "page":
        yield "layout:page"
    if table == "type_layout":
        yield from (f"text:{word}" for word in request.says.lower().split())
    if {"output", "options"} & set(request.arguments):
        yield "path"
    if "parent of" in request.says:
        yield "parent"
    if table == "processes" and shape.where:
        yield "ended"
    yield from _target_marks(request)
    if verb == "find" or table in ("find_symbols", "type_names"):
        yield f"text:{request.words[-1].rpartition('=')[2].lower()}"


def _shape_marks(request: Request) -> Iterator[str]:
    shape = request.shape
    for condition in shape.where:
        yield "where"
        yield condition.column
        yield from (f"{condition.column}{condition.operator}{value}" for value in condition.value.split("|"))
        yield str(condition)
        if condition.operator == "!=":
            yield "negated"
        yield f"text:{condition.value.strip('*').lower()}"
        if condition.column == "level" and condition.value.startswith("emerg|"):
            yield "at_least"
        if condition.operator == "!=":
            yield f"no {condition.column}"
        if "|" in condition.value:
            yield "either"
        if condition.value.endswith("/*"):
            yield "below"
        if condition.value == "socket:*":
            yield "socket:*"
        if str(condition) == "access=*w*":
            yield "write_access"
    if shape.sort:
        yield "sort"
        yield shape.sort
        yield f"sort:{shape.sort}"
        yield "greatest" if shape.reverse else "ascending"
        if shape.sort == "started_ns":
            yield "started"
            yield "newest" if shape.reverse else "oldest"
        if not shape.reverse and shape.first is not None:
            yield "least"
    if "loaded last" in request.says or "were loaded" in request.says:
        yield from ("newest", "last")
    if request.says.startswith("when they started"):
        yield "started"
    for name, value in (("first", shape.first), ("last", shape.last)):
        if value is not None:
            yield from (name, {"first": "oldest", "last": "newest"}[name] if not shape.sort else name)
    if shape.count:
        yield "count"


def _target_marks(request: Request) -> Iterator[str]:
    """The terms of a target, their parts and kinds, and how they are put together."""
    target = str(request.arguments.get("target", ""))
    for term in re.split(r"[\s()&+]+", target):
        yield term
        kind, _, rest = term.partition(":")
        yield kind if rest else term
        yield from (f"/{part}" for part in term.split("/")[1:2] if kind in ("pid", "comm"))
        if kind in ("pid", "comm") or term.startswith("class:process"):
            yield "target-process"
        if term.startswith("kernel"):
            yield "kernel"
    if " & " in target:
        yield "shared"
    if " - " in target:
        yield "negated"
    if request.arguments.get("pid") is not None or "--pid" in request.words or "@pid:" in " ".join(request.words):
        yield "target-process"


def marks_of(concept: str, negated: bool = False) -> set[str]:
    """The marks that account for a concept: of `MARKS`, conditions and columns of tables, terms and parts of targets."""
    found = set() if negated else set(MARKS.get(concept, "").split())
    for table in TABLES:
        if concept in table.conditions:
            condition = table.conditions[concept][0]
            operator = NEGATED[condition.operator] if negated else condition.operator
            found.add(f"{condition.column}{operator}{condition.value}")
        if concept in table.columns:
            found.add(f"{table.columns[concept].name}=0" if negated else table.columns[concept].name)
    if concept in PAGE_CLASSES:
        found.add(f"{'not ' * negated}page-class {PAGE_CLASSES[concept]}")
    if not negated:
        found |= {terms for terms in (f"/{PARTS[concept][0]}" if concept in PARTS else "",) if terms}
        for known in (ALONE, KERNEL_PARTS, PROCESS_CLASSES):
            found |= set(known[concept][0].split(" + ")) if concept in known else set()
    return found
