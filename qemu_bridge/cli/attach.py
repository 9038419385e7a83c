"""The verb attach: machines that Glass Box did not start."""

from __future__ import annotations

import argparse
from pathlib import Path

from .options import Verbs, add_listen, add_verb, print_lines, progress_line


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verb to the parser."""
    parser = add_verb(verbs, "attach", attach, "glassbox attach mine --qmp /run/mine.qmp")
    parser.add_argument("name", metavar="NAME", help="what to call it")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--qmp", type=Path, metavar="SOCK", help="the QMP socket of a QEMU whose RAM is a shared file")
    source.add_argument(
        "--ram",
        type=Path,
        metavar="FILE",
        help="a dump of RAM: an ELF core, kdump, LiME, AVML, raw bytes, or one of these in gzip, zstd or xz",
    )
    add_listen(parser)
    parser.add_argument(
        "--layout",
        "--machine",
        metavar="LAYOUT",
        default="",
        help="where the RAM of a raw image lies in the guest: pc, q35, flat (holes included), or ranges such as 0-3G,4G-5G"
        " (default: found from the kernel in it; --machine is the old name)",
    )


def attach(options: argparse.Namespace) -> None:
    """Look into a QEMU that runs already, or into a file with RAM in it."""
    from ..machine import launch
    from ..wire import connection

    connection.prune()
    launch.attach(
        options.name,
        options.qmp,
        options.ram,
        options.layout,
        listen=options.listen,
        progress=progress_line("unpacked"),
    )
    print_lines(options.name)
