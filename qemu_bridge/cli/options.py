"""Shared by the verbs: declaring a verb, connecting to a machine, printing rows."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

from ..host.printable import printable as printable
from ..host.printable import printable_lines

if TYPE_CHECKING:
    from ..client import Client
    from ..wire.records import Answer

Verbs = Any  # argparse's sub-parser action, whose type is private
COMPLETE_NAME = "_glassbox_machines"
"""The shell function that completes the name of a running machine."""
COMPLETE_TARGET = "_glassbox_targets"
"""The shell function that completes a target of the machine named before it."""

COMPLETE_OVERLAY, COMPLETE_PID, COMPLETE_SYMBOL = "_glassbox_overlays", "_glassbox_pids", "_glassbox_symbols"
"""The shell functions that complete an overlay, a process and a symbol of the machine named before it."""

Function = Callable[[argparse.Namespace], int | None]

END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end a program: Ctrl-C, shutdown, closed terminal."""


def add_verb(
    verbs: Verbs, name: str, function: Function, example: str = "", aliases: Sequence[str] = ()
) -> argparse.ArgumentParser:
    """A verb called `name`, described by the first line of `function`'s docstring; `aliases` are older names of it."""
    summary = (function.__doc__ or "").split("\n")[0]
    if aliases:
        summary += f" Older name: {', '.join(aliases)}."
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        aliases=aliases,
        help=summary,
        description=summary,
        epilog=f"example: {example}" if example else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(function=function)
    return parser


def add_name(parser: argparse.ArgumentParser) -> None:
    """The positional NAME of a running machine or folder of a capture; `setup.completion` says how shells complete it."""
    argument = parser.add_argument("name", metavar="NAME", help="a running machine, or the folder of a capture")
    argument.complete = dict.fromkeys(("bash", "zsh"), COMPLETE_NAME)  # type: ignore[attr-defined]


def add_json(parser: argparse.ArgumentParser) -> None:
    """The flag ``--json``."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def connect(options: argparse.Namespace) -> Client:
    """The client of machine or capture ``options.name``, after cleaning up after killed daemons."""
    # Imported here and in the verbs: a machine boots sooner when its QEMU starts before we load NumPy and ZeroMQ.
    from ..client import Client
    from ..wire import connection

    connection.prune()
    return Client.connect(options.name)


def say(message: str) -> None:
    """Print one line to standard error; text of a guest or a capture cannot send control sequences to the terminal."""
    print(f"glassbox: {printable_lines(message)}", file=sys.stderr, flush=True)


def end_tidily() -> None:
    """Make every signal of `END_SIGNALS` raise `KeyboardInterrupt`, so that clean-up runs."""
    for number in END_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def say_skipped(answer: Answer[Any]) -> None:
    """Print what an answer leaves out, if anything."""
    for sentence in answer.skipped:
        say(f"incomplete: {sentence}")


def print_json(value: Any) -> None:  # noqa: ANN401  # any JSON value
    """Print a record, or any JSON value, as JSON; indented on a terminal."""
    import msgspec

    text = msgspec.json.encode(value, enc_hook=_bytes_to_hex)
    print((msgspec.json.format(text, indent=1) if sys.stdout.isatty() else text).decode())


def _bytes_to_hex(value: Any) -> str:  # noqa: ANN401  # msgspec asks for whatever it does not know
    if not isinstance(value, bytes):
        raise TypeError(f"a {type(value).__name__} is not JSON")
    return value.hex()


def print_rows(rows: Iterable[Any], columns: Sequence[str], as_json: bool) -> None:
    """Print records as JSON objects with all their fields, or the given `columns` as an aligned table."""
    if as_json:
        print_json(list(rows))
        return
    cells = [[row[column] if isinstance(row, dict) else getattr(row, column) for column in columns] for row in rows]
    print("\n".join(format_table(cells, columns)))


def format_table(rows: Sequence[Sequence[Any]], columns: Sequence[str]) -> list[str]:
    """Lines of a table under upper-case headings; numbers are aligned right, the last column is never padded."""
    cells = [
        [heading.upper().replace("_", " ") for heading in columns],
        *([_cell(value) for value in row] for row in rows),
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(columns))]
    right = [all(isinstance(row[column], int) for row in rows) for column in range(len(columns))]
    lines = []
    for line in cells:
        padded = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    return lines


def _cell(value: Any) -> str:  # noqa: ANN401  # any field of a record
    if value is None:
        return "-"
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value)) or "-"
    return printable(str(value.value if isinstance(value, Enum) else value))
