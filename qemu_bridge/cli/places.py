"""The verbs identify, resolve and targets. Each uses the page map, which the worker refreshes first."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..memory.addresses import PAGE_SHIFT, format_size
from .options import (
    COMPLETE_TARGET,
    Verbs,
    add_json,
    add_name,
    add_verb,
    complete_by,
    connect,
    print_json,
    print_lines,
    print_table,
    printable,
    say,
    say_skipped,
)

if TYPE_CHECKING:
    from ..wire.records import Owner, Place, Symbol, TargetMemory, TargetRange


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verbs to the parser."""
    parser = add_verb(verbs, "identify", identify, "glassbox identify demo init_task+0x10", aliases=("whose",))
    add_name(parser)
    parser.add_argument(
        "place",
        metavar="PLACE",
        help="a physical address, a symbol (+offset), or va:ADDRESS[@pid:N] (see docs/targets.md)",
    )
    parser.add_argument("--pid", type=int, metavar="N", help="PLACE is a virtual address of process N")
    add_json(parser)
    parser = add_verb(
        verbs, "resolve", resolve, "glassbox resolve demo 'pid:1/heap + comm:sh/stack'", aliases=("where",)
    )
    add_name(parser)
    argument = parser.add_argument("target", metavar="TARGET", help="which memory: see docs/targets.md")
    complete_by(argument, COMPLETE_TARGET)
    parser.add_argument("--pages", action="store_true", help="one row a page, with its owner")
    parser.add_argument("--total", action="store_true", help="print only how much it is")
    parser.add_argument(
        "--by-class", action="store_true", help="how much it is of each class of pages, the greatest first"
    )
    add_json(parser)
    parser = add_verb(verbs, "targets", targets, "glassbox targets demo pid:1/")
    add_name(parser)
    parser.add_argument("prefix", metavar="PREFIX", nargs="?", default="", help="how the target begins")
    add_json(parser)


def identify(options: argparse.Namespace) -> None:
    """Identify a byte of RAM: what it is, its owner, and where each process maps it."""
    with connect(options) as client:
        answer = client.identify(options.place, options.pid)
    say_skipped(answer)
    if options.json:
        print_json(answer.value)
    else:
        print_lines("\n".join(describe_place(answer.value)))


def resolve(options: argparse.Namespace) -> int:
    """List the physical ranges of a target; exit status 1 when it has no memory."""
    from ..gateway.rows import sum_by_class

    with connect(options) as client:
        answer = client.resolve(options.target, options.pages)
    memory = answer.value
    say_skipped(answer)
    if options.by_class:
        classes = sum_by_class((each.page_class, each.size) for each in memory.ranges)
        print_json(classes) if options.json else print_table(
            [
                (format_size(each["size"]), f"{each['size'] / memory.total_bytes:.1%}", each["page_class"])
                for each in classes
            ],
            ("size", "share", "class"),
        )
    elif options.total:
        pages = memory.total_bytes >> PAGE_SHIFT
        total = {"total_bytes": memory.total_bytes, "pages": pages, "grade": memory.grade}
        print_json(total) if options.json else print_lines(
            f"{memory.total_bytes} bytes ({format_size(memory.total_bytes)})"
        )
    elif options.json:
        print_json(memory)
    elif memory.ranges:
        print_table(*describe_memory(memory, options.pages))
    if not options.json and not options.total and not options.by_class:
        size = f"{memory.total_bytes >> 10} KiB" if memory.total_bytes % 1024 == 0 else f"{memory.total_bytes} bytes"
        ranges = "1 range" if len(memory.ranges) == 1 else f"{len(memory.ranges)} ranges"
        say(f"{size} in {ranges} ({memory.grade}, page map {memory.generation})")
    return 0 if memory.total_bytes else 1


def targets(options: argparse.Namespace) -> None:
    """List completions of a target: names that are in the guest now."""
    with connect(options) as client:
        rows = client.targets(options.prefix).value
    if options.json:
        print_json(rows)
    elif rows:
        print_lines("\n".join(rows))


def describe_place(place: Place) -> Iterator[str]:
    """Yield lines that describe a place; a fact that does not apply has no line."""
    facts = [
        ("physical", f"{place.physical:#x}  (offset {place.ram_offset:#x} of the RAM file, frame {place.frame:#x})"),
        ("virtual", "" if place.virtual is None else f"{place.virtual:#x}"),
        ("kernel", "" if place.kernel_address is None else f"{place.kernel_address:#x}"),
        ("class", _class_line(place)),
        *(("owner", _owner_line(owner)) for owner in place.owners),
        ("symbol", place.symbol and _symbol_line(place.symbol)),
        (
            "object",
            place.slab
            and f"{place.slab.cache} #{place.slab.index} at {place.slab.start:#x}, {place.slab.size} bytes, +{place.slab.offset:#x}",
        ),
        ("file", place.file if place.file_offset is None else f"{place.file} +{place.file_offset:#x}"),
        *(
            (
                "mapped",
                f"pid {row.pid} {row.name}: {row.virtual:#x} in {row.start:#x}-{row.end:#x} {row.permissions} {row.area}",
            )
            for row in place.mappings
        ),
        ("moment", f"{place.grade}, page map {place.generation}"),
    ]
    for label, fact in facts:
        if fact:
            yield f"{label:9} {printable(fact).rstrip()}"


def describe_memory(memory: TargetMemory, by_page: bool) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """(cells, headings) of a table of ranges; of pages also the owners."""

    def cells(row: TargetRange) -> tuple[str, ...]:
        whole = (f"{row.physical:#014x}", f"{row.physical + row.size - 1:#014x}", format_size(row.size), row.page_class)
        return (*whole, row.owner) if by_page else whole

    columns = ("first", "last", "size", "class", *(["owner"] if by_page else []))
    return [cells(row) for row in memory.ranges], columns


def _class_line(place: Place) -> str:
    notes = [f"level {place.table_level}"] if place.table_level else []
    notes += [f"order {place.order}: {1 << place.order} pages"] if place.order else []
    notes += [] if place.touched else ["never touched"]
    return place.page_class + (f" ({', '.join(notes)})" if notes else "")


def _symbol_line(symbol: Symbol) -> str:
    module = f" [{symbol.module}]" if symbol.module else ""
    return f"{symbol.name}+{symbol.offset:#x}{module} ({symbol.symbol_type})"


def _owner_line(owner: Owner) -> str:
    words = (owner.kind, str(owner.pid) if owner.pid else "", owner.name if owner.name != owner.kind else "")
    return " ".join(filter(None, words)) + (f" ({owner.detail})" if owner.detail else "")
