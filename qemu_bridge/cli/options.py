"""Shared by the verbs: declaring a verb, connecting to a machine, printing rows."""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from ..host.interrupts import END_SIGNALS
from ..host.printable import printable as printable
from ..host.printable import printable_json, printable_lines
from ..host.settings import value_of

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

_LEAST_WIDTH, _BETWEEN = 6, 2
_NUMBER = re.compile(r"-|-?[0-9.]+|0x[0-9a-f]+").fullmatch

Function = Callable[[argparse.Namespace], int | None]


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
    add_talk(parser)
    # The help has it once, before VERB.
    parser.add_argument("--host", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def add_talk(parser: argparse.ArgumentParser) -> None:
    """The flags ``-q``, ``-v`` and ``--log-json``, which work before and behind the verb."""
    talk = parser.add_mutually_exclusive_group()
    talk.add_argument("-q", "--quiet", action="store_true", default=argparse.SUPPRESS, help="say errors only")
    talk.add_argument("-v", "--verbose", action="store_true", default=argparse.SUPPRESS, help="say what is done")
    parser.add_argument(
        "--log-json", action="store_true", default=argparse.SUPPRESS, help="messages as a JSON object a line"
    )


def set_talk(options: argparse.Namespace) -> None:
    """Let `say` and the library's log say as much as the flags of `add_talk` ask for."""
    quiet = getattr(options, "quiet", False)
    for log in (_talk, logging.getLogger("qemu_bridge")):
        log.setLevel(logging.ERROR if quiet else logging.INFO)
    if getattr(options, "verbose", False):
        logging.getLogger("qemu_bridge").setLevel(logging.DEBUG)
    if getattr(options, "log_json", False):
        os.environ["GLASSBOX_LOG_JSON"] = "1"  # what is started says it that way too
    if getattr(options, "verbose", False) or value_of("log_json"):
        # Loaded for those who want it.
        from ..host.logs import log_to_stderr

        log_to_stderr(logging.WARNING, "glassbox: %(name)s: %(message)s")


def add_name(parser: argparse.ArgumentParser) -> None:
    """The positional NAME of a running machine folder of a capture, or file of a dump; `setup.completion` says how shells complete it."""
    argument = parser.add_argument(
        "name", metavar="NAME", help="a running machine, the folder of a capture, or a dump's file"
    )
    complete_by(argument, COMPLETE_NAME)


def complete_by(argument: argparse.Action, function: str) -> None:
    """Have shells complete `argument` by their `function`, one of those above."""
    argument.complete = {"bash": function, "zsh": function, "fish": f"({function})"}  # type: ignore[attr-defined]


def add_json(parser: argparse.ArgumentParser) -> None:
    """The flag ``--json``."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def add_listen(parser: argparse.ArgumentParser) -> None:
    """The option ``--listen``."""
    parser.add_argument(
        "--listen",
        default="",
        metavar="tcp://ADDRESS:PORT",
        help="serve clients on other hosts too, those of 'glassbox keys allow' only (docs/remote.md)",
    )


def connect(options: argparse.Namespace) -> Client:
    """The client of machine, capture or dump ``options.name``, after cleaning up after killed daemons."""
    # Imported here and in the verbs: a machine boots sooner when its QEMU starts before we load NumPy and ZeroMQ.
    from ..client import Client
    from ..wire import connection
    from ..wire.endpoints import is_remote

    connection.prune()
    if not is_remote(options.name) and connection.is_path(options.name):
        from ..machine.launch import open_path

        open_path(Path(options.name), progress_line("unpacked"))
    return Client.connect(options.name)


_REDRAW_S = 0.2


def progress_line(what: str) -> Callable[[int, int], None]:
    """A function that redraws ``WHAT 34 of 128 MiB`` on a terminal's last line; silent without a terminal."""
    shown = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal shown
        if not sys.stderr.isatty() or (done < total and time.monotonic() - shown < _REDRAW_S):
            return
        shown = time.monotonic()
        end = "\n" if done == total else ""
        print(f"\rglassbox: {what} {done >> 20} of {total >> 20} MiB", end=end, file=sys.stderr, flush=True)

    return show


def print_lines(text: str, *, at_once: bool = False, heading: str = "") -> None:
    """Print lines of an answer to standard output, `at_once` where more come later; those that are `heading` in bold.

    The only way there, so that no text of a guest, a capture or a trace can send control sequences to the terminal.
    """
    lines = printable_lines(text)
    if heading:
        shown = printable_lines(heading)
        lines = "\n".join(bold(line, sys.stdout) if line == shown else line for line in lines.split("\n"))
    print(lines, flush=at_once)


T = TypeVar("T")


def print_events(
    batches: Iterable[Iterable[T]], describe: Callable[[T], str], count: int | None, *, as_json: bool
) -> None:
    """Print events as they come, a line each, until there are `count`."""
    shown = 0
    for batch in batches if count != 0 else ():
        for event in batch:
            if as_json:
                print_json(event, one_line=True)
            else:
                print_lines(describe(event), at_once=True)
            shown += 1
            if shown == count:
                return


_talk = logging.getLogger("glassbox")
_talk.setLevel(logging.INFO)


def say(message: str) -> None:
    """Print one line to standard error, unless ``-q`` is given.

    Text of a guest or a capture cannot send control sequences to the terminal.
    """
    if _talk.isEnabledFor(logging.INFO):
        _print_message(message, "glassbox:", "info")


def complain(message: str) -> None:
    """Print an error, or what is left out of an answer, to standard error, whatever the flags are."""
    _print_message(message, _styled("glassbox:", _RED, sys.stderr), "error")


def _print_message(message: str, mark: str, level: str) -> None:
    if value_of("log_json"):
        # Loaded for those who want it.
        from ..host.logs import encode

        print(json.dumps(encode(level, "glassbox", message)), file=sys.stderr, flush=True)
        return
    print(f"{mark} {printable_lines(message)}", file=sys.stderr, flush=True)


_BOLD, _RED = "1", "1;31"


def bold(text: str, stream: TextIO) -> str:
    """`text` in bold, where `stream` is a terminal and ``NO_COLOR`` is not set (no-color.org)."""
    return _styled(text, _BOLD, stream)


def _styled(text: str, style: str, stream: TextIO) -> str:
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") in (None, "", "dumb") or not stream.isatty()
    return text if plain else f"\x1b[{style}m{text}\x1b[0m"


def end_tidily() -> None:
    """Make every signal of `END_SIGNALS` raise `KeyboardInterrupt`, so that clean-up runs."""
    for number in END_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def say_skipped(answer: Answer[Any]) -> None:
    """Print what an answer leaves out, if anything."""
    for sentence in answer.skipped:
        complain(f"incomplete: {sentence}")


def print_json(value: Any, one_line: bool = False) -> None:  # noqa: ANN401  # any JSON value
    """Print a record, or any JSON value, as JSON; indented on a terminal, unless it is `one_line` of a stream."""
    import msgspec

    from ..wire.json_text import encode_json

    text = encode_json(value, _bytes_to_hex)
    indented = msgspec.json.format(text, indent=1) if sys.stdout.isatty() and not one_line else text
    print(printable_json(indented.decode()), flush=one_line)


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
    print_table(cells, columns)


def print_table(rows: Sequence[Sequence[Any]], columns: Sequence[str]) -> None:
    """Print `format_table`: on a terminal as wide as that, its headings in bold; elsewhere nothing is cut."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    heading, *lines = format_table(rows, columns, width)
    print("\n".join([bold(heading, sys.stdout), *lines]))


def format_table(rows: Sequence[Sequence[Any]], columns: Sequence[str], most_width: int | None = None) -> list[str]:
    """Lines of a table under upper-case headings; numbers are aligned right, the last column is never padded.

    With `most_width` the widest texts are cut, with an ellipsis, until a line has at most so many characters.
    """
    cells = [
        [heading.upper().replace("_", " ") for heading in columns],
        *([_cell(value) for value in row] for row in rows),
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(columns))]
    right = [all(isinstance(row[column], int) for row in rows) for column in range(len(columns))]
    if most_width is not None:
        fixed = [all(map(_NUMBER, (line[column] for line in cells[1:]))) for column in range(len(columns))]
        widths = _fit(widths, [not is_number for is_number in fixed], most_width)
        cells = [[_cut(cell, width) for cell, width in zip(line, widths, strict=True)] for line in cells]
    lines = []
    for line in cells:
        padded = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    return lines


def _fit(widths: list[int], can_shrink: list[bool], most_width: int) -> list[int]:
    """`widths` with the largest of those that can shrink made smaller, down to `_LEAST_WIDTH`, until their line fits."""
    widths = list(widths)
    while sum(widths) + _BETWEEN * (len(widths) - 1) > most_width:
        able = [n for n, width in enumerate(widths) if can_shrink[n] and width > _LEAST_WIDTH]
        if not able:
            break
        widths[max(able, key=widths.__getitem__)] -= 1
    return widths


def _cut(cell: str, width: int) -> str:
    return cell if len(cell) <= width else cell[: width - 1] + "…"


def _cell(value: Any) -> str:  # noqa: ANN401  # any field of a record
    if value is None:
        return "-"
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value)) or "-"
    return printable(str(value.value if isinstance(value, Enum) else value))
