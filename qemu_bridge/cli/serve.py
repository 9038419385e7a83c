"""The verb serve: all machines over HTTP."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from .options import Verbs, add_json, add_verb, print_json, print_lines, say

if TYPE_CHECKING:
    from ..gateway.service import Serving


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verb to the parser."""
    parser = add_verb(verbs, "serve", serve, "glassbox serve --allow-control")
    parser.add_argument(
        "--listen",
        metavar="ADDRESS",
        default="127.0.0.1:8490",
        help="HOST:PORT (port 0: any free one), or unix:PATH, which needs no token; 'unix:' is a path in the runtime folder (default: %(default)s)",
    )
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="the token (default: a random one)")
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="PEM certificate; needed beyond this host")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its key")
    parser.add_argument(
        "--host-name", action="append", default=[], metavar="NAME", help="a name that clients use; may be repeated"
    )
    parser.add_argument("--allow-control", action="store_true", help="allow pausing, tracing, stopping, writing files")
    parser.add_argument("--allow-write", action="store_true", help="allow commands in guests, and QMP")
    add_json(parser)


def serve(options: argparse.Namespace) -> None:
    """Serve all machines over HTTP: REST, events, a live picture, and a page for the browser; closed to others."""
    try:
        from ..gateway.listen import Listen
        from ..gateway.service import serve as serve_machines
    except ImportError as error:
        raise UsageError(f"this needs the extra 'serve' ({error}); in the checkout, pip install '.[serve]'") from None
    from ..wire import connection
    from ..wire.operations import Permission

    connection.prune()
    listen = Listen(options.listen, options.tls_cert, options.tls_key, options.token_file, tuple(options.host_name))
    named = {Permission.CONTROL: options.allow_control, Permission.WRITE: options.allow_write}
    allowed = frozenset(permission for permission, is_allowed in named.items() if is_allowed)

    def tell(serving: Serving) -> None:
        if options.json:
            print_json({"url": serving.url, "token": serving.token}, one_line=True)
        else:
            print_lines(serving.page, at_once=True)
            say("open this address in a browser; Ctrl-C ends the service, machines run on")

    serve_machines(listen, allowed, tell)
