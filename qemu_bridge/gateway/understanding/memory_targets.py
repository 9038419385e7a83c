"""Which memory a question names, as a target, and requests for a target: its place, its size, itself in a viewer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ...errors import UsageError
from ...introspection.targets.format import quote_name
from ...introspection.targets.parse import parse_target
from .names import StaticNames
from .reading import Owner, Reading
from .request import MACHINE, Request, Unsure, verb
from .token import Token

PARTS = {
    "heap": ("heap", "heap"),
    "stack": ("stack", "stack"),
    "user_stack": ("stack", "stack"),
    "kernel_stack": ("kernelstack", "kernel stack"),
    "text": ("text", "code"),
    "anonymous": ("anonymous", "anonymous memory"),
    "mapped_file": ("file", "mapped files"),
    "page_table": ("pagetables", "page tables"),
}
"""Parts of a process by concept: in a target, and in words."""
ALONE = {
    "heap": ("class:process-heap", "heaps of all processes"),
    "user_stack": ("class:process-stack", "user stacks of all processes"),
    "kernel_stack": ("kernel.stack", "kernel stacks of all tasks"),
    "page_table": ("class:page-table", "all page tables"),
    "anonymous": ("class:process-anonymous", "anonymous memory of all processes"),
    "mapped_file": ("class:process-file", "mapped files of all processes"),
    "kernel": ("kernel", "all memory of the kernel"),
    "kernel_data": ("kernel.data", "the kernel's data"),
    "rodata": ("kernel.rodata", "the kernel's read-only data"),
    "bss": ("kernel.bss", "the kernel's bss"),
    "init_section": ("kernel.init", "the kernel's init sections"),
    "percpu": ("kernel.percpu", "per-CPU areas"),
    "memmap": ("kernel.memmap", "the array of struct page"),
    "vmalloc": ("kernel.vmalloc", "vmalloc memory"),
    "slab": ("kernel.slab", "all slabs"),
    "module": ("kernel.modules", "all kernel modules"),
    "cache": ("class:page-cache", "the page cache"),
    "free": ("free", "free pages"),
    "zero": ("class:zero", "pages of zeros"),
    "untouched": ("class:untouched", "pages that were never touched"),
    "reserved": ("class:reserved", "reserved pages"),
    "shmem": ("class:shmem", "shared memory"),
    "huge": ("class:huge-page", "huge pages"),
    "ksm": ("class:ksm", "merged pages"),
    "all": ("all", "all of RAM"),
}
"""Memory that a concept means by itself: its target, and in words."""
KERNEL_PARTS = {
    "text": ("kernel.text", "the kernel's code"),
    "page_table": ("kernel.pagetables", "the kernel's own page tables"),
    "stack": ("kernel.stack", "kernel stacks of all tasks"),
    "heap": ("kernel.slab + kernel.vmalloc", "the kernel's slabs and vmalloc memory"),
}
PAGE_CLASSES = {
    **{concept: f"process-{concept}" for concept in ("heap", "anonymous")},
    "user_stack": "process-stack", "kernel_stack": "kernel-stack", "page_table": "page-table", "mapped_file": "process-file",
    "kernel_data": "kernel-data", "rodata": "kernel-rodata", "bss": "kernel-bss", "init_section": "kernel-init", "percpu": "per-cpu",
    "cache": "page-cache", "huge": "huge-page",
    **{concept: concept for concept in ("memmap", "vmalloc", "slab", "module", "free", "zero", "untouched", "reserved", "shmem", "ksm")},
}  # fmt: skip
"""The class of pages that a concept means, as a view names it, where it means one alone."""
PROCESS_CLASSES = {
    "text": ("class:process-text", "code of all processes"),
    "stack": ("class:process-stack", "user stacks of all processes"),
}
_KINDS = {"module": "module", "slab": "slab cache", "file": "file"}
THINGS = {"owner", "name", "path", "target_text", "kernel", "process", "file", *PARTS, *ALONE}
AROUND = {"memory", "page", "range", "use", "map"}
"""What names memory, and what says little beside it."""


def show(target: str, says: str) -> Request:
    """Let a target stand out in the open viewers."""
    return verb("highlight", f"show {says} in the viewers", target, target=target)


def where(target: str, says: str) -> Request:
    """List where a target is."""
    return verb("resolve", f"where in RAM: {says}", target, target=target)


def how_much(target: str, says: str) -> Request:
    """How much memory a target has."""
    words = ("resolve", MACHINE, target, "--total")
    return Request(f"how much memory: {says}", words, "resolve", {"target": target})


def is_without(reading: Reading) -> bool:
    """Memory that is not of something, or not something: ``crond without its stack``."""
    return any(token.is_negated and _plain(token) in THINGS | {"shared"} for token in reading.tokens)


def _plain(token: Token) -> str:
    return next(iter(Reading([replace(token, is_negated=False)], StaticNames()).items))


def memory_of(reading: Reading) -> tuple[str, str] | Unsure | None:
    """(target, in words) of the memory that a question names; None where it names none."""
    cut = next((at for at, token in enumerate(reading.tokens) if token.is_negated), None)
    if cut is not None:
        return _difference(reading, cut)
    found = _union(reading)
    if isinstance(found, Unsure) or found is None:
        return found
    are_both = re.search(r"\bboth\b.*\b(use|have|map|need|contain|see|share)\b", reading.question.lower()) is not None
    if (reading.has("shared") or are_both) and len(reading.owners) >= 2:
        return " & ".join(target for target, _ in found), "memory that " + " and ".join(
            map(str, reading.owners)
        ) + " share"
    if reading.has("shared"):
        return None
    return " + ".join(target for target, _ in found), " and ".join(says for _, says in found)


def _difference(reading: Reading, cut: int) -> tuple[str, str] | Unsure | None:
    """What is before the first token that is negated, without it and all that follows."""
    tokens = [replace(token, is_negated=False) for token in reading.tokens if token.concept != "shared"]
    cut -= sum(token.concept == "shared" for token in reading.tokens[:cut])
    left, right = (Reading(part, reading.names, reading.question) for part in (tokens[:cut], tokens[cut:]))
    part = next((token for token in left.tokens if token.concept in PARTS), None)
    if part is not None and not left.owners and right.owners and not right.has(*PARTS):
        right = Reading([part, *right.tokens], reading.names, reading.question)
    if not right.owners and right.has(*PARTS) and left.owners:
        right = Reading([*_owner_tokens(left), *right.tokens], reading.names, reading.question)
    if right.within({"process"}, AROUND | {"all"}):
        right_side: list[tuple[str, str]] | Unsure | None = [("class:process-*", "memory of all processes")]
    else:
        right_side = _union(right)
    sides = [_union(left), right_side]
    if sides[0] is None and left.has("process") and not left.has(*(THINGS - {"process", "all"})):
        sides[0] = [("class:process-*", "memory of all processes")]
    if sides[0] is None and left.has("memory", "page") and not left.has(*THINGS) and not reading.has("shared"):
        sides[0] = [ALONE["all"]]  # memory that is not free
    for side in sides:
        if side is None or isinstance(side, Unsure):
            return side
    texts = [" + ".join(target for target, _ in side) for side in sides if isinstance(side, list)]
    spoken = [" and ".join(says for _, says in side) for side in sides if isinstance(side, list)]
    operands = [f"({text})" if " " in text else text for text in texts]
    return " - ".join(operands), " without ".join(spoken)


def _owner_tokens(reading: Reading) -> Iterator[Token]:
    yield from (token for token in reading.tokens if token.kind in ("pid", "name"))


def _union(reading: Reading) -> list[tuple[str, str]] | Unsure | None:
    pieces = _split_at_and(reading)
    if len(pieces) > 1 and not reading.owners and not reading.has("name", "path", "target_text"):
        found = [_thing(piece) for piece in pieces]
        if all(isinstance(each, list) for each in found):
            return [pair for each in found if isinstance(each, list) for pair in each]
    return _thing(reading)


def _split_at_and(reading: Reading) -> list[Reading]:
    pieces: list[list[Token]] = [[]]
    for token in reading.tokens:
        if token.concept == "and":
            pieces.append([])
        else:
            pieces[-1].append(token)
    return [Reading(piece, reading.names, reading.question) for piece in pieces if piece]


def _thing(reading: Reading) -> list[tuple[str, str]] | Unsure | None:
    found: list[tuple[str, str]] = []
    for text in reading.texts("target"):
        try:
            parse_target(text)
        except UsageError as error:
            return Unsure(str(error))
        found.append((text, text))
    if any(path.startswith(("/proc/", "/sys/")) for path in reading.texts("path")):
        return None  # no file there has pages in memory
    found += [(f"file:{_file_name(path)}", f"file {path}") for path in reading.texts("path")]
    if reading.unclear:
        token, names = reading.unclear[0]
        choices = tuple(show(Owner(name).target, f"memory of process {name}") for name in names[:4])
        return Unsure(f"{token.text!r} may be several processes: {', '.join(names[:8])}", choices)
    parts = [concept for concept in PARTS if reading.has(concept)]
    others = [concept for concept in ALONE if reading.has(concept) and concept not in PARTS]
    named = _named(reading)
    if isinstance(named, Unsure):
        return named
    if (
        len(reading.owners) == len(reading.texts("path")) == 1
        and len(found) == 1
        and not parts
        and not reading.has("and")
    ):
        owner = reading.owners[0]
        return [(f"{owner.target} & {found[0][0]}", f"memory of {owner} that is {found[0][1]}")]
    for owner in reading.owners:
        if not reading.pids(owner):
            return Unsure(f"there is no {owner} in this guest", (verb("ps", "all processes"),))
    if reading.owners:
        if len(reading.owners) == len(named) == 1 and named[0][0].startswith("file:") and not parts and not others:
            target, says = reading.owners[0].target, f"memory of {reading.owners[0]}"
            return [(f"{target} & {named[0][0]}", f"{says} that is {named[0][1]}")]
        if set(others) - {"cache", "all"} or (named and not _is_part_of_kind(reading)):
            return None
        each = _of_each_owner(reading)
        return found + each if each is not None else Unsure("which part of which process is not clear")
    found += named
    if found and not named and not parts:
        others = [concept for concept in others if concept != "cache"]
    if named and not parts:
        others = [concept for concept in others if concept not in ("module", "slab", "cache")]
    elif named:
        return None
    rest = _without_owner(reading, parts, others)
    if isinstance(rest, Unsure):
        return rest
    return found + rest or None


def _is_part_of_kind(reading: Reading) -> bool:
    return not any(token.kind == "name" and token.matches[0].kind != "process" for token in reading.tokens)


def _file_name(path: str) -> str:
    return path if "*" in path or "?" in path else quote_name(path, "file")


def _of_each_owner(reading: Reading) -> list[tuple[str, str]] | None:
    """``the heap of a and the stack of b`` are two; ``heap and stack of a and b`` are four; None where it is not clear which."""
    parts = [token.concept for token in reading.tokens if token.concept in PARTS]
    if len(reading.owners) < 2 or len(set(parts)) < 2:
        whole = (
            _of_owners(reading.owners, ())
            if re.search(r"\band (its|their)\b", reading.question.lower()) and len(reading.owners) == 1 and parts
            else []
        )
        return [*whole, *_of_owners(reading.owners, list(dict.fromkeys(parts)))]
    read = _split_at_and(reading)
    if all(len(piece.owners) == 1 and piece.has(*PARTS) for piece in read):
        return [
            pair for piece in read for pair in _of_owners(piece.owners, [part for part in PARTS if piece.has(part)])
        ]
    kinds = [
        "part" if token.concept in PARTS else "owner"
        for token in reading.tokens
        if token.concept in PARTS or token.kind in ("name", "pid")
    ]
    return (
        _of_owners(reading.owners, list(dict.fromkeys(parts)))
        if kinds in (sorted(kinds), sorted(kinds, reverse=True))
        else None
    )


def _of_owners(owners: Sequence[Owner], parts: Sequence[str]) -> list[tuple[str, str]]:
    if not parts:
        return [(owner.target, f"memory of {owner}") for owner in owners]
    return [(f"{owner.target}/{PARTS[part][0]}", f"{PARTS[part][1]} of {owner}") for owner in owners for part in parts]


def _named(reading: Reading) -> list[tuple[str, str]] | Unsure:
    """Memory of modules, slab caches and files that are named; what has several kinds is unclear."""
    found = []
    for token in reading.tokens:
        if token.kind != "name" or not token.matches or token.matches[0].kind == "process":
            continue
        matches = [match for match in token.matches if reading.has(match.kind)] or list(token.matches)
        choices = [
            (f"{match.kind}:{quote_name(name, match.kind)}", f"{_KINDS[match.kind]} {name}")
            for match in matches
            for name in match.names
        ]
        if len(choices) > 1:
            return Unsure(f"{token.text!r} may be several things", tuple(show(*choice) for choice in choices[:4]))
        found += choices
    return found


def _without_owner(reading: Reading, parts: Sequence[str], others: Sequence[str]) -> list[tuple[str, str]] | Unsure:
    of_kernel = "kernel" in others
    found: list[tuple[str, str]] = []
    for part in parts:
        if of_kernel and part in KERNEL_PARTS:
            found.append(KERNEL_PARTS[part])
        elif reading.has("process") and part in PROCESS_CLASSES:
            found.append(PROCESS_CLASSES[part])
        elif part in ALONE:
            found.append(ALONE[part])
        else:
            kernel, user = KERNEL_PARTS[part], PROCESS_CLASSES[part]
            return Unsure(f"whose {PARTS[part][1]} is not said", (show(*user), show(*kernel)))
    rest = [concept for concept in others if concept != "kernel" or not found]
    if "all" in rest and (found or len(rest) > 1):
        rest.remove("all")
    if "kernel" in rest and (len(rest) > 1 or reading.has("name", "module", "slab")):
        rest.remove("kernel")
    is_sized = reading.has("size", "count", "highlight", "go", "where")
    if reading.has("process") and reading.has("memory", "page") and is_sized and not found and not rest:
        return [("class:process-*", "memory of all processes")]
    return found + [ALONE[concept] for concept in rest]
