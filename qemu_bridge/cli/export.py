"""The verb export: a machine's RAM as a file that other tools open."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from ..dumps.write import FORMATS, write_dump
from ..memory.addresses import format_layout, format_size
from .options import Verbs, add_name, add_verb, connect, end_tidily, print_lines, progress_line, say

if TYPE_CHECKING:
    from ..memory.ram import GuestRam


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verb to the parser."""
    parser = add_verb(verbs, "export", export, "glassbox export demo --format elf -o demo.core")
    add_name(parser)
    parser.add_argument("--format", choices=FORMATS, default="elf", help="what to write (default: %(default)s)")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="the file to write")
    parser.add_argument("--live", action="store_true", help="do not pause the guest while its RAM is copied")
    parser.add_argument("--force", action="store_true", help="replace an existing file")


def export(options: argparse.Namespace) -> None:
    """Write a machine's RAM to a file for other tools: an ELF core, a LiME dump, or raw bytes."""
    from ..wire.records import Runstate

    end_tidily()
    with connect(options) as client, contextlib.ExitStack() as stack:
        if not options.live and client.status().runstate is Runstate.RUNNING:
            client.pause()
            stack.callback(client.resume)
        ram = client.ram
        note = _note(ram) if options.format == "elf" else b""
        write_dump(ram, options.output, options.format, note, progress_line("written"), force=options.force)
    print_lines(str(options.output))
    say(f"{format_size(ram.size)} of RAM at {format_layout(ram.layout)}")
    if options.format == "elf" and not note:
        say("no kernel was found in it, so tools that need its VMCOREINFO cannot use it")


def _note(ram: GuestRam) -> bytes:
    """The kernel's note about itself, as ELF has notes; empty where no kernel has booted."""
    from ..kernel.symbols.vmcoreinfo import iter_vmcoreinfo, note_bytes

    return next((note_bytes(ram, info.physical) for info in iter_vmcoreinfo(ram)), b"")
