"""The verb overlay: tables of kernel state, built in or from plug-ins."""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import EXIT_FAILED, UsageError
from .options import (
    COMPLETE_OVERLAY,
    Verbs,
    add_json,
    add_name,
    add_verb,
    complete_by,
    connect,
    print_json,
    print_lines,
    print_rows,
    print_table,
    say_skipped,
)


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verb to the parser."""
    parser = add_verb(verbs, "overlay", overlay, "glassbox overlay demo sockets")
    add_name(parser)
    argument = parser.add_argument(
        "overlay",
        metavar="OVERLAY",
        nargs="?",
        default="list",
        help="which one; 'list' names them (default: %(default)s)",
    )
    complete_by(argument, COMPLETE_OVERLAY)
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="COLUMN=VALUE",
        help="only rows that fit; VALUE may have the wildcards * and ?, and | between values of which one fits; also !=, and of numbers <, <=, >, >=; may be repeated",
    )
    parser.add_argument("--sort", default="", metavar="COLUMN", help="sort by this column")
    parser.add_argument("--reverse", action="store_true", help="the greatest first")
    parser.add_argument("--first", type=int, metavar="N", help="only the first N rows")
    parser.add_argument("--last", type=int, metavar="N", help="only the last N rows")
    parser.add_argument("--count", action="store_true", help="print only how many rows these are")
    add_json(parser)


def overlay(options: argparse.Namespace) -> int:
    """Show a table of kernel state read from the guest's memory: sockets, open files, mounts, slabs, stacks, the kernel's log."""
    import msgspec

    from ..gateway.rows import Shape, parse_where, shape_rows

    if any(rows is not None and rows < 1 for rows in (options.first, options.last)):
        raise UsageError("a number of rows is 1 or more; give --first or --last such a number")
    with connect(options) as client:
        if options.overlay == "list":
            found = client.overlays()
            if options.json:
                print_json({"overlays": found.value, "skipped": found.skipped})
            else:
                print_rows(found, ("name", "origin", "summary"), as_json=False)
            say_skipped(found)
            return 0
        answer = client.overlay(options.overlay)
    table = answer.value
    where = tuple(map(parse_where, options.where))
    shape = Shape(where, options.sort, options.reverse, options.first, options.last, options.count)
    rows = shape_rows(table.rows, shape, table.columns)
    table = msgspec.structs.replace(table, rows=tuple(rows), skipped=answer.skipped)
    if options.count:
        print_json(len(rows)) if options.json else print_lines(str(len(rows)))
    elif options.json:
        print_json(table)
    else:
        print_table(*format_columns(list(table.rows), table.columns))
    say_skipped(answer)
    # A table that lacks some rows is an answer; one without any, because it failed, is not.
    return EXIT_FAILED if answer.skipped and not table.rows else 0


def format_columns(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> tuple[list[list[Any]], list[str]]:
    """(cells, headings) of a table; a column is a field's name, optionally with a colon and a format."""
    names = [column.partition(":")[0] for column in columns]
    formats = [column.partition(":")[2] for column in columns]
    cells = [[_cell(row[name], how) for name, how in zip(names, formats, strict=True)] for row in rows]
    return cells, names


def _cell(value: Any, how: str) -> Any:  # noqa: ANN401  # any field of a record
    try:
        return format(value, how) if how and value is not None else value
    except (ValueError, TypeError):
        # A plug-in's format may not fit the value; print the value as it is.
        return value
