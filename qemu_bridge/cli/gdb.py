"""The verb gdb: gdb on a running machine, with the symbols, types and call frames of the kernel in its RAM."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import GuestError, MachineError, UsageError
from .options import Verbs, add_name, add_verb, complain, connect, end_tidily, print_lines, say

if TYPE_CHECKING:
    from ..client import Client

_CLEANING_S, _LEAVING_S = 5.0, 10.0
_LIMIT_S, _MOST_ITEMS = 120.0, 8 << 20
# Function parameters are in no register that is known behind the first instruction.
_SETTINGS = ("set print frame-arguments presence", "set confirm off")


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verb to the parser."""
    parser = add_verb(
        verbs,
        "gdb",
        gdb,
        "glassbox gdb demo\nglassbox gdb demo -- -batch -ex bt -ex 'p init_task.comm'\nglassbox gdb demo -o vmlinux",
    )
    add_name(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        help="write the symbols to FILE for another debugger, and start none",
    )
    parser.add_argument("--force", action="store_true", help="replace an existing file")


def gdb(options: argparse.Namespace) -> int:
    """Debug a machine's kernel with gdb, without a debug package: it stands still meanwhile. gdb's own arguments go after "--"."""
    end_tidily()
    if options.output is None and shutil.which("gdb") is None:
        raise UsageError("gdb is not installed; install it, or write the symbols for another debugger with -o FILE")
    with connect(options) as client:
        path = client.gdb_server()
        if not Path(path).is_socket():
            raise UsageError(f"{client.name} runs on another host, where gdb has to run too: use 'glassbox gdb' there")
        if options.output is not None:
            _write(client, options.output, force=options.force)
            print_lines(str(options.output))
            say(f"in the debugger: target remote {path}")
            return 0
        with tempfile.TemporaryDirectory(prefix="glassbox-gdb-") as folder:
            symbols = Path(folder) / "vmlinux"
            _write(client, symbols)
            return _run(symbols, path, options.rest)


def _write(client: Client, path: Path, *, force: bool = False) -> None:
    # Imported here: help needs none of it.
    from ..kernel.budget import Budget, OutOfBudgetError
    from ..kernel.debug_file import write_debug_file
    from ..kernel.modules import GuestSymbols, ModuleReader
    from ..kernel.objects import KernelObjects
    from ..kernel.symbols import KernelSymbols

    kernel = KernelSymbols.load(client.ram)
    space = KernelObjects(client.ram, kernel)
    budget = Budget(_LIMIT_S, _MOST_ITEMS)
    try:
        with space.charged_to(budget), budget.watch():
            write_debug_file(path, space, GuestSymbols(kernel, ModuleReader(space).read()), force=force)
    except OutOfBudgetError as error:
        raise GuestError(
            f"the symbols of {client.name} have no end ({error}); its kernel's tables are damaged"
        ) from None
    for sentence in budget.skipped:
        complain(f"incomplete: {sentence}")


def _run(symbols: Path, path: str, words: list[str]) -> int:
    """gdb's exit status; however it ends, its breakpoints go and the machine runs on."""
    settings = [word for each in (*_SETTINGS, f"target remote {path}") for word in ("-ex", each)]
    # Ctrl-C is gdb's: it stops the machine.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    process = subprocess.Popen(["gdb", "-q", *settings, *words, str(symbols)])
    try:
        status = process.wait()
    except BaseException:  # another signal, which is for both
        process.terminate()
        try:
            process.wait(_LEAVING_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _clean(path)
        raise
    finally:
        signal.signal(signal.SIGINT, before)
    if status < 0:
        what = (
            "its breakpoints are removed, the machine goes on"
            if _clean(path)
            else "QEMU does not answer, so its breakpoints may stay"
        )
        raise MachineError(f"gdb was ended by {signal.Signals(-status).name}; {what}")
    return status


def _clean(path: str) -> bool:
    """Do what a debugger does that connects and leaves: QEMU removes all breakpoints, and goes on. False where it does not answer."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_CLEANING_S)
        connection.connect(path)
        # Packets of gdb's remote protocol: "why did you stop", upon which breakpoints go, and "detach from process 1".
        for packet in (b"$?#3f", b"$D;1#b0"):
            connection.sendall(packet)
            while b"#" not in (answer := connection.recv(4096)):
                if not answer:
                    return False
            connection.sendall(b"+")
        return True
    return False
