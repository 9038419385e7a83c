"""``trace record NAME -o FILE`` records what a machine executes; ``trace stop NAME`` ends that."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..memory.addresses import parse_size
from .options import Verbs, add_json, add_name, add_verb, connect, print_json, say

if TYPE_CHECKING:
    from ..wire.trace_records import Progress, RecordOptions, RecordResult


def add_verbs(actions: Verbs) -> None:
    """Add ``record`` and ``stop`` to the actions of ``trace``."""
    add_flags(add_verb(actions, "record", record, "glassbox trace demo -o demo.gbt --until sym:do_exit"))
    add_name(add_verb(actions, "stop", stop))


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``trace record`` to its parser."""
    add_name(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="where to write the trace")
    parser.add_argument(
        "--start-at", metavar="PLACE[:N]", help="begin when this is executed, for the Nth time: sym:NAME or an address"
    )
    parser.add_argument("--after", type=int, metavar="M", help="begin when a vCPU has executed so many instructions")
    parser.add_argument("--seconds", type=float, metavar="S", help="end after this time")
    parser.add_argument("--insns", type=int, metavar="N", help="end after so many instructions")
    parser.add_argument("--until", metavar="PLACE", help="end soon after this was executed: sym:NAME or an address")
    parser.add_argument("--mem", action="store_true", help="record the addresses of loads and stores too")
    parser.add_argument("--values", action="store_true", help="record their values too; implies --mem")
    parser.add_argument(
        "--regs", action="append", default=[], metavar="PLACE", help="record the registers when a block begins here"
    )
    parser.add_argument(
        "--pid", type=int, action="append", default=[], metavar="N", help="only while this process's memory is mapped"
    )
    parser.add_argument("--only", choices=("kernel", "user"), help="only code of this privilege")
    parser.add_argument(
        "--range",
        action="append",
        default=[],
        dest="ranges",
        metavar="RANGE",
        help="only blocks that begin in PLACE-PLACE or PLACE+BYTES; may be given again",
    )
    parser.add_argument(
        "--lossy",
        action="store_true",
        help="drop and count pieces of the trace (chunks) when the recorder is too slow; the guest never waits",
    )
    parser.add_argument(
        "--ring",
        type=parse_size,
        metavar="SIZE",
        help="shared memory in which the records of each vCPU wait for the recorder, 4K to 64M (default: 4M, 16 chunks)",
    )
    parser.add_argument("--force", action="store_true", help="replace an existing trace")
    parser.add_argument("--verify", action="store_true", help="have QEMU count every instruction, for 'trace check'")
    add_json(parser)


def record(options: argparse.Namespace) -> int:
    """Record what a machine executes into a file, until a limit is reached, another client stops it, or Ctrl-C.

    Exit status 1 if the recording is not what was asked for: QEMU was killed, or the place of --until was not reached.
    """
    # Imported here: recording loads NumPy, which the parser of other verbs must not wait for.
    from ..trace.recording.record import record_trace

    is_shown = sys.stderr.isatty()
    with connect(options) as client, interruptible() as stopped:
        result = record_trace(client, options.output, record_options(options), _show if is_shown else None, stopped)
    if is_shown:
        print("\r\x1b[K", end="", file=sys.stderr)
    if options.json:
        print_json(result)
    else:
        say(f"{result.file}: {describe(result.progress)}; end: {result.end}")
    shortfall = _shortfall(result, options.until)
    if shortfall:
        say(shortfall)
    return 1 if shortfall else 0


def _shortfall(result: RecordResult, until: str | None) -> str:
    """What the recording lacks of what was asked for; empty if nothing."""
    from ..wire.trace_records import RecordEnd

    if result.error:
        return f"the window was closed early: {result.error}"
    if result.end is RecordEnd.MACHINE_KILLED:
        return "QEMU was killed; the last blocks that each vCPU executed are missing"
    if until and result.end is not RecordEnd.UNTIL:
        return f"{until} was not executed before the end ({result.end})"
    return ""


def record_options(options: argparse.Namespace) -> RecordOptions:
    """What the flags ask for."""
    from ..wire.trace_records import Privilege, RecordOptions

    return RecordOptions(
        seconds=options.seconds,
        instructions=options.insns,
        until=options.until,
        start_at=options.start_at,
        after=options.after,
        memory=options.mem,
        values=options.values,
        registers=tuple(options.regs),
        pids=tuple(options.pid),
        only=Privilege(options.only) if options.only else None,
        ranges=tuple(options.ranges),
        ring_bytes=options.ring,
        lossy=options.lossy,
        verify=options.verify,
        force=options.force,
    )


def stop(options: argparse.Namespace) -> None:
    """End the recording of a machine, from any process."""
    with connect(options) as client:
        client.trace_disarm()


@contextlib.contextmanager
def interruptible() -> Iterator[threading.Event]:
    """A context in which SIGINT and SIGTERM only set the event, so that the file is finished first."""
    event = threading.Event()
    kept = {number: signal.signal(number, lambda *_: event.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def describe(progress: Progress) -> str:
    """The progress of a recording, as a line of text."""
    rate = progress.instructions / max(progress.seconds, 1e-9)
    parts = [
        f"{_scaled(progress.instructions)} instructions",
        f"{_scaled(rate)}/s",
        f"{_scaled(progress.file_bytes)}B",
        f"{progress.waits} waits ({progress.wait_s:.2f} s)" if progress.waits else "",
        f"{progress.lost_chunks} chunks dropped" if progress.lost_chunks else "",
    ]
    return ", ".join(filter(None, parts))


def _scaled(count: float) -> str:
    """Three digits of a number and its unit: ``12.3 M``, ``950 ``."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} "


def _show(progress: Progress) -> None:
    print(f"\r{describe(progress)}\x1b[K", end="", file=sys.stderr, flush=True)
