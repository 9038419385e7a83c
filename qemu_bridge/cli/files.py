"""The verbs files and extract: the guest's files as RAM holds them."""

from __future__ import annotations

import argparse
import contextlib
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import EXIT_FAILED, UsageError
from ..memory.addresses import format_size
from .options import (
    COMPLETE_TARGET,
    Verbs,
    add_json,
    add_name,
    add_verb,
    complete_by,
    connect,
    end_tidily,
    print_json,
    print_lines,
    print_table,
    say,
    say_skipped,
)

if TYPE_CHECKING:
    from ..client import Client
    from ..wire.records import FileInMemory


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verbs to the parser."""
    parser = add_verb(verbs, "files", files, "glassbox files demo 'file:/usr/lib/*.so*'")
    add_name(parser)
    argument = parser.add_argument(
        "target",
        metavar="TARGET",
        nargs="?",
        default="",
        help="only these: file:/path, a directory, or a name with wildcards",
    )
    complete_by(argument, COMPLETE_TARGET)
    parser.add_argument("--deleted", action="store_true", help="only files that have been removed")
    parser.add_argument("--first", type=int, metavar="N", help="only the N that hold most memory")
    add_json(parser)
    parser = add_verb(verbs, "extract", extract, "glassbox extract demo file:/bin/busybox -o busybox")
    add_name(parser)
    argument = parser.add_argument(
        "target", metavar="TARGET", help="file:/path; of a directory, or a name with wildcards, a tar archive is made"
    )
    complete_by(argument, COMPLETE_TARGET)
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="the file to write")
    parser.add_argument("--inode", type=int, metavar="N", help="of several files of that name, the one of this number")
    parser.add_argument("--live", action="store_true", help="do not pause the guest meanwhile")
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    add_json(parser)


def files(options: argparse.Namespace) -> int:
    """List the files of which something is in RAM, and how much: deleted ones, tmpfs and memfds too."""
    from ..wire.records import DELETED

    if options.first is not None and options.first < 1:
        raise UsageError("a number of files is 1 or more; give --first such a number")
    with connect(options) as client:
        answer = client.cached_files(options.target)
    kinds = (stat.S_IFREG, stat.S_IFBLK)
    found = [file for file in answer.value if stat.S_IFMT(file.mode) in kinds]
    found = [file for file in found if not options.deleted or file.path.endswith(DELETED)]
    found.sort(key=lambda file: (-file.in_memory, file.path))
    shown = found[: options.first]
    if options.json:
        print_json(shown)
    elif shown:
        rows = [
            (format_size(file.in_memory), format_size(file.size), _share(file), file.filesystem, file.inode, file.path)
            for file in shown
        ]
        print_table(rows, ("in_memory", "size", "share", "filesystem", "inode", "path"))
    say_skipped(answer)
    return 0 if found else EXIT_FAILED


def _share(file: FileInMemory) -> str:
    """How much of a file is known; what lives in memory alone is whole unless part of it is swapped."""
    if file.is_of_memory:
        return f"{file.swapped} B swapped" if file.swapped else "all"
    return f"{file.in_memory / file.size:.0%}" if file.size else "-"


def extract(options: argparse.Namespace) -> int:
    """Write a file of the guest from its RAM, or several as a tar archive; exit status 1 where something is missing."""
    from ..captures.extract import missing, newest_of_name, write_file, write_tree
    from ..introspection.targets.parse import parse_target

    end_tidily()
    parse_target(options.target)
    with connect(options) as client, contextlib.ExitStack() as stack:
        if not options.live:
            stack.enter_context(_paused(client))
        answer = client.cached_files(options.target, True)
        say_skipped(answer)
        found = newest_of_name(answer.value, options.inode)
        if not found:
            raise UsageError(f"the kernel knows no file {options.target!r} now; 'glassbox files' lists those in RAM")
        if len(found) == 1 and stat.S_ISLNK(found[0].mode):
            raise UsageError(
                f"{found[0].path} is a link to {found[0].link or 'a path that is not in memory'}; extract that"
            )
        is_single = len(found) == 1 and stat.S_IFMT(found[0].mode) in (stat.S_IFREG, stat.S_IFBLK)
        if is_single:
            write_file(client.ram, found[0], options.output, force=options.force)
            notes = []
        else:
            notes = write_tree(client.ram, found, options.output, force=options.force)
    gaps = [(file, missing(file)) for file in found]
    if options.json:
        print_json(
            [
                {"path": file.path, "size": file.size, "in_memory": file.in_memory, "missing": ranges}
                for file, ranges in gaps
            ]
        )
    else:
        print_lines(str(options.output))
        for file, ranges in gaps:
            for start, end in ranges:
                print_lines(f"missing {start:#x}-{end:#x} of {file.path}")
    for note in notes:
        say(f"left out: {note}")
    absent = sum(end - start for _, ranges in gaps for start, end in ranges)
    whole = sum(file.size for file in found if stat.S_ISREG(file.mode) or stat.S_ISBLK(file.mode))
    say(f"{format_size(whole)}, of which {format_size(absent)} are not in RAM and zeros in the output")
    return EXIT_FAILED if absent or notes or answer.skipped else 0


@contextlib.contextmanager
def _paused(client: Client) -> Iterator[None]:
    from ..wire.records import Runstate

    was_running = client.status().runstate is Runstate.RUNNING
    if was_running:
        client.pause()
    try:
        yield
    finally:
        if was_running:
            client.resume()
