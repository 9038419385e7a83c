"""The verb mcp: a server for language models."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import HostError
from .options import COMPLETE_NAME, Verbs, add_verb, complete_by, say

if TYPE_CHECKING:
    from ..gateway.service import Serving


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verb to the parser."""
    parser = add_verb(verbs, "mcp", mcp, "glassbox mcp demo\nglassbox mcp --http 127.0.0.1:8765 --allow-control")
    argument = parser.add_argument(
        "name",
        metavar="NAME",
        nargs="?",
        default="",
        help="the machine that is meant where none is named (default: the only one)",
    )
    complete_by(argument, COMPLETE_NAME)
    parser.add_argument(
        "--allow-control", action="store_true", help="also offer to pause, stop, trace and capture machines"
    )
    parser.add_argument(
        "--allow-write", action="store_true", help="also offer to run commands in guests; allows control too"
    )
    parser.add_argument(
        "--http",
        metavar="ADDRESS",
        help="serve HTTP at HOST:PORT, port 0 for a free one, or unix:PATH, instead of standard input and output",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="a file with the token (default: a random one, which is printed)",
    )
    parser.add_argument(
        "--tls-cert", type=Path, metavar="FILE", help="certificate in PEM, for addresses beyond this host"
    )
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its key")


def mcp(options: argparse.Namespace) -> None:
    """Serve language models over the Model Context Protocol: they look into machines and move open viewers."""
    try:
        import anyio

        from ..gateway.mcp_server import server as mcp_server
    except ImportError as error:
        raise HostError(f"the package mcp is needed ({error}); install 'glassbox-qemu[mcp]'") from None
    from ..gateway.listen import Listen
    from ..gateway.mcp_server.machines import Machines
    from ..wire.operations import Permission

    allowed = {Permission.READ}
    if options.allow_control or options.allow_write:
        allowed.add(Permission.CONTROL)
    if options.allow_write:
        allowed.add(Permission.WRITE)
    machines = Machines(options.name)
    server = mcp_server.make_server(machines, allowed)
    try:
        if options.http is None:
            anyio.run(mcp_server.serve_streams, server)
            return
        listening = Listen(options.http, options.tls_cert, options.tls_key, options.token_file)
        anyio.run(mcp_server.serve_http, server, listening, partial(_say_where, options.token_file is None))
    finally:
        machines.close()


def _say_where(is_random: bool, serving: Serving) -> None:
    say(f"listening on {serving.url}")
    if is_random and serving.token is not None:
        say(f"token: {serving.token}")
