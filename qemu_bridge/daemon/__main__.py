"""The daemon of one machine: ``python -m qemu_bridge.daemon``.

It reads what to start or to attach to from standard input (`machine.requests`), writes one line to standard output, and
lives on.
"""

from __future__ import annotations

import contextlib
import os
import sys

import msgspec

from ..errors import GlassBoxError
from ..machine.requests import AttachRequest, StartAnswer, decode_request
from ..wire import connection as connections
from ..wire.connection import Connection
from .descriptors import connection_limit, raise_descriptor_limit
from .lifecycle import run_machine, serve_attached


def main() -> int:
    """Entry point of ``python -m qemu_bridge.daemon``."""
    text = sys.stdin.buffer.read()
    if not text:
        return 0
    request = decode_request(text)
    raise_descriptor_limit()
    try:
        connection_limit()
        folder = connections.state_folder(request.name)
    except GlassBoxError as error:
        return _fail(error)
    log = os.open(folder / "daemon.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 2)
    os.close(log)
    try:
        if isinstance(request, AttachRequest):
            serve_attached(request, _succeed)
        else:
            run_machine(request, _succeed)
    except GlassBoxError as error:
        return _fail(error)
    return 0


def _succeed(connection: Connection) -> None:
    _report(StartAnswer(True))


def _fail(error: GlassBoxError) -> int:
    _report(StartAnswer(False, type(error).__name__, str(error)))
    return error.exit_status


def _report(answer: StartAnswer) -> None:
    # Who started us may be gone: what was started goes on all the same.
    with contextlib.suppress(OSError):
        os.write(1, msgspec.json.encode(answer) + b"\n")
    # The parent reads exactly one line; everything after it goes to the log.
    os.dup2(2, 1)


if __name__ == "__main__":
    sys.exit(main())
