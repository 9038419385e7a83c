"""Whether a request accounts for every word of its question: what it leaves out is asked about, never passed over.

Topics say what a question may mean; here is checked that nothing of it got lost on the way. A request has *marks*: its verb, its table, its
conditions, its order, the parts of its target. Each token has to be in one of them, or in the text of the command: `MARKS` says in which a
concept can be. What stands in no row accounts for nothing, so that a new concept asks back until its row is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ...wire.operations import Permission
from .memory_targets import ALONE, KERNEL_PARTS, PARTS, PROCESS_CLASSES
from .names import Names
from .quantities import NEGATED, PAGE
from .request import Request
from .tables import TABLES
from .token import Token

ROWS = "processes threads areas page-cache slabs modules open-files sockets mounts dmesg kernel-stacks"
_OF_PROCESSES = "processes threads areas open-files sockets kernel-stacks identify target-process record"
_OF_MEMORY = "target fly-to processes areas page-cache slabs modules find snap record-video capture compare status read identify dirty sym maps"
MARKS: dict[str, str] = {
    # What is to be done. To show, to list and to print are what every answer does.
    "show": "reads",
    "dump": "rows target read capture type_layout",
    "read": "read find identify page-cache dmesg console maps modules",
    "find": "rows find find_symbols sym identify",
    "take": "capture snap record-video record total sort:resident_pages kernel-stacks clear mode",
    "start": "record view parent parent_pid started trace_status",
    "stop": "trace_disarm clear",
    "draw": "snap highlight",
    "run": "exec",
    "set": "fly-to",
    "go": "highlight fly-to",
    "highlight": "highlight mode fly-to",
    "clear": "clear",
    "pause": "pause status",
    "resume": "resume status",
    "shutdown": "stop status",
    "compare": "compare",
    "identify": f"identify fly-to {ROWS} target",
    "translate": "identify read sym fly-to resolve",
    "about": "processes modules",
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
    "socket": "sockets socket:* flows",
    "port": "sockets",
    "protocol": "sockets",
    "remote_port": "sockets",
    "module": "modules module kernel.modules",
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
    "status": "status processes",
    "kernel_version": "kernel",
    "machines": "machines",
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
    "lasting": "record record-video",
    "how": "status by-class type_layout kernel-stacks ask identify maps",
    "capture": "compare capture",
    "change": "compare dirty write_access",
    "trace": "record top trace_status trace_disarm",
    "hot": "top",
    "picture": "snap",
    "video": "record-video",
    "second": "record record-video",
    "boot": "dmesg status console",
    # Memory.
    "memory": _OF_MEMORY,
    "page": "target fly-to identify dirty page-cache read compare find resident_pages layout:page",
    "frame": "identify",
    "range": "resolve maps areas",
    "map": "maps areas mapped identify target-process",
    "executable_map": "permissions",
    "writable_map": "permissions",
    "memmap": "layout:page",
    "kernel": "kernel dmesg modules kernel-stacks slabs page-cache find_symbols sym type_layout only-kernel identify read fly-to parent_pid",
    "all": "all highlight resolve capture find snap record-video compare dirty negated",
    "shared": "shared",
    "shmem": "filesystem",
    "text": "find top",
    "use": "processes total target open-files areas sockets page-cache modules slabs status identify",
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
    "like": "where find find_symbols type_names path compare modules",
    "string": "find where",
    "regex": "regex",
    "below": "below",
    "or": "either ended",
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
ONLY_ACCOUNTED = frozenset("only part lasting how total level protocol boot several versus".split())
"""Concepts that no topic reads: whether an answer can be meant with them is seen here alone."""
_WORDS = {
    "from": "any", "between": "shared compare span", "after": "dirty compare mode", "area": "maps areas target", "region": "maps areas target",
    "segment": "maps areas target", "section": "maps areas target", "reading": "read find identify open-files", "memory used by": "total target",
    "contains": "identify where find find_symbols type_names", "enabled": "kernel trace_status", "memory image": "find capture compare",
    **dict.fromkeys(("virtual", "virtual addr", "virt", "va", "kva", "gva", "vaddr", "linear", "virtual address"), "va"),
    "a lot of": "any", "lots of": "any", "plenty of": "any",
}  # fmt: skip
"""By word the marks that account for it, where they are others than those of its concept."""
_DONE_BY_ONE = {"name", "pid", "root", "kernel", "process"}
_HAVING = {"use", "map", "open", "open_file", "identify", "shared", "has", "memory", "read", "change", "socket", "listen"}  # fmt: skip


def left_over(tokens: Sequence[Token], request: Request, names: Names) -> list[Token]:
    """Those of a question's `tokens` that `request` does not account for."""
    marks = frozenset(_marks(request))
    text = f"{' '.join(request.words)} {request.says}".lower()
    left = [
        token
        for at, token in enumerate(tokens)
        if not (
            _in_negation(token, request, marks) if token.is_negated else _is_in(tokens, at, request, marks, text, names)
        )
    ]
    if not left and sum(token.is_negated for token in tokens) > _negations(request):
        left = [token for token in tokens if token.is_negated]
    return left


def _marks(request: Request) -> Iterator[str]:
    """What a request has in it."""
    verb, shape = request.words[0], request.shape
    yield "any"
    if request.permission is Permission.READ:
        yield "reads"
    table = request.words[2] if verb in ("overlay", "call") else {"ps": "processes", "maps": "areas"}.get(verb, verb)
    yield verb
    yield table
    if table in ROWS.split():
        yield "rows"
    yield from _shape_marks(request)
    if verb == "status" and len(request.words) == 1:
        yield "machines"
    if verb == "trace":
        yield "top" if request.words[1] == "top" else "record"
    if verb == "peek":
        yield "read"
    if table == "processes" and not shape.where:
        yield "all-rows"
    if any(word.startswith("va:") for word in request.words):
        yield "va"
    if "--only" in request.words or "--kernel" in request.words:
        yield "only-kernel"
    if verb == "highlight" and not request.arguments.get("target", ""):
        yield "clear"
    if verb in ("resolve", "highlight") or "--target" in request.words:
        yield "target"
    for flag in ("--total", "--by-class", "--regex"):
        if flag in request.words:
            yield flag[2:]
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
        yield str(condition)
        if condition.operator == "!=":
            yield "negated"
        yield f"text:{condition.value.strip('*').lower()}"
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


def _marks_of(concept: str, negated: bool = False) -> set[str]:
    """The marks that account for a concept: of `MARKS`, conditions and columns of tables, terms and parts of targets."""
    found = set() if negated else set(MARKS.get(concept, "").split())
    for table in TABLES:
        if concept in table.conditions:
            condition = table.conditions[concept][0]
            operator = NEGATED[condition.operator] if negated else condition.operator
            found.add(f"{condition.column}{operator}{condition.value}")
        if concept in table.columns:
            found.add(f"{table.columns[concept].name}=0" if negated else table.columns[concept].name)
    if not negated:
        found |= {terms for terms in (f"/{PARTS[concept][0]}" if concept in PARTS else "",) if terms}
        for known in (ALONE, KERNEL_PARTS, PROCESS_CLASSES):
            found |= set(known[concept][0].split(" + ")) if concept in known else set()
    return found


def _is_in(tokens: Sequence[Token], at: int, request: Request, marks: frozenset[str], text: str, names: Names) -> bool:
    token = tokens[at]
    if token.kind == "concept":
        if token.concept == "only":
            return not _is_exclusive(tokens, at)
        if token.text.lower() == "between" and "read" in marks:
            return [each.kind for each in tokens].count("address") == 2
        word = token.text.lower()
        of_word = _WORDS.get(word, _WORDS.get(word.removesuffix("s")))
        known = set(of_word.split()) if of_word is not None else _marks_of(token.concept)
        return bool(known & marks) or f"text:{word}" in marks
    if token.kind == "name":
        meant = {name for match in token.matches for name in match.names}
        known = {name.lower() for name in meant} | {f"pid:{each.pid}" for each in names.processes if each.name in meant}
        return any(name in text for name in known) or f"text:{token.text.lower()}" in marks
    if token.kind in ("limit",):
        return token.number in (request.shape.first, request.shape.last)
    if token.kind == "quantity":
        values = {token.number, token.number // PAGE, -(-token.number // PAGE)}
        return any(
            condition.operator in (token.operator, NEGATED.get(token.operator)) and condition.value in map(str, values)
            for condition in request.shape.where
        )
    if token.kind in ("address", "frame_number", "number", "length"):
        return any(f"{number:{form}}" in text for number in (token.number, token.number << 12) for form in ("d", "#x"))
    if token.kind in ("pid", "uid", "port_number", "remote_number", "cpu_number", "epoch_number", "descriptor", "session"):  # fmt: skip
        return re.search(rf"(?<!\d){token.number}(?!\d)", text) is not None
    return token.text.lower().strip("*") in text or re.sub("0x| ", "", token.text.lower()) in text


def _in_negation(token: Token, request: Request, marks: frozenset[str]) -> bool:
    if " - " in str(request.arguments.get("target", "")):
        return token.kind != "concept" or token.concept == "shared" or bool(_marks_of(token.concept) & marks)
    if token.kind == "concept":
        columns = {f"no {mark}" for mark in MARKS.get(token.concept, "").split()}
        return bool((_marks_of(token.concept, negated=True) | columns) & marks) or (
            "negated" in marks and f"text:{token.text.lower()}" in marks
        )
    if token.kind == "quantity":
        return any(condition.operator == NEGATED.get(token.operator) for condition in request.shape.where)
    return "negated" in marks


def _negations(request: Request) -> int:
    target = str(request.arguments.get("target", ""))
    return 99 if " - " in target else len(request.shape.where)


def _is_exclusive(tokens: Sequence[Token], at: int) -> bool:
    """Whether ``only`` says that nobody else has something, or nothing else is had: what only crond maps, the only process, has only sockets."""
    before, after = tokens[:at], tokens[at + 1 : at + 3]
    is_alone = tokens[at].text.lower().startswith("the only") or (before and before[-1].concept in _HAVING)
    return bool(is_alone) or (
        len(after) == 2 and (after[0].concept or after[0].kind) in _DONE_BY_ONE and after[1].concept in _HAVING
    )
