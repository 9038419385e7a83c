"""Verbs that draw: snap, view, record-video, and run, which boots, lists and draws."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from viewer.parser import add_arguments, add_others, spell

from ..errors import BusyNameError, GlassBoxError
from ..host.interrupts import END_SIGNALS
from ..host.startup import INTERRUPTED
from .machine import add_machine_options, make_config
from .names import PROCESS_COLUMNS
from .options import (
    COMPLETE_NAME,
    Verbs,
    add_name,
    add_verb,
    complete_by,
    end_tidily,
    format_table,
    print_table,
    say,
)

if TYPE_CHECKING:
    from ..client import Client

_NAMES_TRIED = 100


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verbs to the parser."""
    for verb, function, example in _DRAWING:
        parser = add_verb(verbs, verb, function, example)
        add_name(parser)
        complete_by(add_others(parser), COMPLETE_NAME)
        add_arguments(parser, verb)
    parser = add_verb(verbs, "run", run, "glassbox run")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        type=Path,
        default=Path("glassbox-run"),
        help="folder for the picture and the process table (default: %(default)s)",
    )
    parser.add_argument("--no-window", action="store_true", help="write the picture even where there is a display")
    add_machine_options(parser)


def snap(options: argparse.Namespace) -> int:
    """Draw the RAM of a machine, or of several side by side, into a PNG; needs no display."""
    return _draw("snap", options)


def view(options: argparse.Namespace) -> int:
    """Open a window on the RAM of a machine, or of several side by side, that follows them while they run."""
    return _draw("view", options)


def record_video(options: argparse.Namespace) -> int:
    """Write a video of the RAM of one machine or several along a script of views, or of one view for some seconds; needs no display."""
    return _draw("record-video", options)


_DRAWING = (
    ("snap", snap, "glassbox snap demo -o picture.png --size 1920x1080 --at yaw=35,pitch=25,mode=entropy"),
    ("view", view, "glassbox view demo"),
    ("record-video", record_video, "glassbox record-video demo -o tour.mp4 --script tour.txt"),
)
"""The verbs whose arguments `viewer.parser` declares, with an example each."""


def _draw(verb: str, options: argparse.Namespace) -> int:
    from ..wire import connection

    connection.prune()
    return _viewer([verb, options.name, *options.others, *spell(verb, options)])


def run(options: argparse.Namespace) -> int:
    """Boot Alpine, list its processes from outside, draw its memory, and clean up."""
    from ..wire import connection

    connection.prune()
    options.output.mkdir(parents=True, exist_ok=True)
    with _machine(options) as client:
        cells = [[getattr(row, column) for column in PROCESS_COLUMNS] for row in client.ps()]
        print_table(cells, PROCESS_COLUMNS)
        sys.stdout.flush()
        if not options.no_window and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            say("close the window (q) to end the machine")
            return _viewer(["view", client.name])
        processes, png = options.output / "processes.txt", options.output / "memory.png"
        processes.write_text("\n".join(format_table(cells, PROCESS_COLUMNS)) + "\n")
        exit_status = _viewer(["snap", client.name, "-o", str(png)])
    if exit_status == 0:
        say(f"its memory: {png}")
        say(f"its processes: {processes}")
    return exit_status


@contextlib.contextmanager
def _machine(options: argparse.Namespace) -> Iterator[Client]:
    # A ready machine, stopped afterwards whatever happens, a closed terminal included.
    from ..machine.launch import launch, waiting_daemon

    end_tidily()
    started = time.monotonic()
    with waiting_daemon() as daemon:
        config = make_config(options, _free_name())
        say(f"booting {config.image or config.kernel} in {options.memory} of RAM")
        launch(config, daemon)
    from ..client import Client

    with Client.connect(config.name) as client:
        try:
            client.wait_ready()
            say(f"{config.name} is up after {time.monotonic() - started:.1f} s; its processes, from outside:")
            yield client
        finally:
            with contextlib.suppress(GlassBoxError):
                client.stop()


def _free_name() -> str:
    from ..wire import connection

    taken = {found.name for found in connection.iter_connections()}
    for number in range(1, _NAMES_TRIED):
        name = "demo" if number == 1 else f"demo-{number}"
        if name not in taken:
            return name
    raise BusyNameError("a hundred demo machines are running already; stop some with 'glassbox stop'")


def _viewer(words: list[str]) -> int:
    # A process of its own: a lost GPU does not end us, and `glassbox` does not load the renderer. Signals wait until we pass
    # them on, and in the child, which inherits that, until its first lines say what they do: no moment between is lost.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, END_SIGNALS)
    try:
        child = subprocess.Popen([sys.executable, "-m", "viewer", *words])
        with _passing_on(child) as told:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            status = child.wait()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    # It is interrupted whichever signal said so, and whether it had begun to take notice.
    if told and -status in END_SIGNALS:
        return INTERRUPTED
    return status if status >= 0 else 128 - status


@contextlib.contextmanager
def _passing_on(child: subprocess.Popen[bytes]) -> Iterator[list[int]]:
    """Pass on what ends us; yields the signals that came."""
    # What came goes to the child, which may have a file to finish first; a second one kills it. No other signal: a background
    # job of a shell ignores SIGINT, and so does its child.
    told: list[int] = []

    def pass_on(number: int, frame: object) -> None:
        child.send_signal(signal.SIGKILL if told else number)
        told.append(number)

    # Ignored signals (nohup, a background job) stay ignored.
    numbers = [n for n in END_SIGNALS if signal.getsignal(n) is not signal.SIG_IGN]
    before = [signal.signal(number, pass_on) for number in numbers]
    try:
        yield told
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
