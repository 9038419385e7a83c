"""``--symbols SOURCE``: names for a trace, from a running machine, a capture of it, or a file such as System.map."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..trace.analysis.naming import Naming


def add_names(parser: argparse.ArgumentParser) -> None:
    """The flag that names a source of symbols."""
    parser.add_argument(
        "--symbols",
        metavar="SOURCE",
        help="source of names: the running machine, a capture of it, or a System.map (default: the trace's own, of kernel code)",
    )


def add_process(parser: argparse.ArgumentParser, pid_help: str = "only this process; needs --symbols MACHINE") -> None:
    """The flags that choose a process."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--pid", type=int, metavar="N", help=pid_help)
    which.add_argument("--root", type=lambda text: int(text, 0), metavar="ADDR", help="only this page-table root (CR3)")


def names_from(source: str | None, trace: Path | None = None) -> Naming:
    """The names that `source` knows: a machine's kernel and processes, or a symbol file's. None: those in the file `trace`.

    `UsageError` if a file holds no symbols.
    """
    # Symbols are loaded only when a source is given.
    from ..trace.analysis.naming import Naming, naming_of_file, naming_of_machine, naming_of_trace
    from ..wire import connection

    if source is None:
        return Naming() if trace is None else naming_of_trace(trace)
    if Path(source).is_file():
        return naming_of_file(Path(source))
    from ..client import Client

    connection.prune()
    with Client.connect(source) as client:
        return naming_of_machine(client)
