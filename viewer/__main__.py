"""``python -m viewer``: a picture of a machine (``snap``), a window on it (``view``), a video of it (``record-video``).

What draws is imported by the verb that needs it: a wrong argument is answered before a graphics library is loaded.
"""

from __future__ import annotations

from qemu_bridge.host.interrupts import end_at_once

if __name__ == "__main__":
    end_at_once()  # before the imports below, which take their time

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from qemu_bridge.errors import GlassBoxError
from qemu_bridge.host.printable import printable_lines

from .parser import build_parser

_INTERRUPTED = 130


def run(options: argparse.Namespace) -> int:
    """Do what the parsed `options` say and return the exit status; raises `GlassBoxError` kinds."""
    status = _VERBS[options.verb](options)
    return status or 0


def _adapter(options: argparse.Namespace) -> None:
    from gpu_device.device import adapter_name, request_adapter

    print(adapter_name(request_adapter()))


def _snap(options: argparse.Namespace) -> None:
    from qemu_bridge.wire.picture_records import SnapOptions

    from .picture.size import parse_picture_size
    from .picture.snap import snap_machines

    width, height = parse_picture_size(options.size)
    wanted = SnapOptions(options.output, width, height, options.at, options.against, options.order)
    result = snap_machines((options.name, *options.others), wanted, _show_progress("step"), _show_reading)
    if options.json:
        print(msgspec.json.encode(result).decode())


def _record_video(options: argparse.Namespace) -> None:
    from qemu_bridge.wire.picture_records import VideoOptions

    from .picture.script import read_script
    from .picture.size import parse_picture_size
    from .picture.video import record_machines

    width, height = parse_picture_size(options.size)
    wanted = VideoOptions(
        options.output,
        width,
        height,
        options.fps,
        None if options.script is None else read_script(options.script),
        options.seconds,
        options.at,
        options.against,
        options.order,
    )
    result = record_machines((options.name, *options.others), wanted, _show_progress("frame"), _show_reading)
    if options.json:
        print(msgspec.json.encode(result).decode())


def _view(options: argparse.Namespace) -> None:
    from .app.window import open_window
    from .picture.size import parse_picture_size
    from .sources.comparison import with_difference
    from .sources.machine import open_machines

    size = parse_picture_size(options.size)
    source, *others = open_machines((options.name, *options.others), options.against, is_followed=True)
    at = options.at if source.comparison is None else with_difference(options.at)
    open_window(
        source,
        frames=options.frames,
        screenshot=None if options.screenshot is None else Path(options.screenshot),
        after_s=options.after,
        size=size,
        view=at or None,
        order=options.order,
        others=others,
    )


def _live(options: argparse.Namespace) -> None:
    from .app.live import show_live

    show_live((options.name, *options.others))


def _job(options: argparse.Namespace) -> int:
    from qemu_bridge.host.job import run_job
    from qemu_bridge.wire.json_text import encode_json

    from .job import JOBS

    return run_job(options.operation, JOBS, encode_json)


_VERBS: dict[str, Callable[[argparse.Namespace], int | None]] = {
    "adapter": _adapter,
    "snap": _snap,
    "record-video": _record_video,
    "view": _view,
    "job": _job,
    "live": _live,
}


def _show_progress(unit: str) -> Callable[[int, int], None]:
    """Progress as a line that is written over again, on a terminal only."""

    def show(done: int, total: int) -> None:
        if sys.stderr.isatty():
            end = "\n" if done == total else ""
            print(f"\rglassbox: {unit} {done} of {total}", end=end, file=sys.stderr, flush=True)

    return show


def _show_reading(done: int, total: int) -> None:
    """How much memory of another host has come, as such a line."""
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\rglassbox: read {done >> 20} of {total >> 20} MiB of memory", end=end, file=sys.stderr, flush=True)


class _PrintableFormatter(logging.Formatter):
    """Lines of the log for a terminal: what they quote of a guest, as names of processes, cannot control it."""

    def format(self, record: logging.LogRecord) -> str:
        return printable_lines(super().format(record))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0, 1 for a failure, 2 for wrong usage, 130 if interrupted."""
    options = build_parser().parse_args(arguments)
    handler = logging.StreamHandler()
    handler.setFormatter(_PrintableFormatter("glassbox: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    if options.verb == "view":
        logging.getLogger("viewer").setLevel(logging.INFO)
    try:
        return run(options)
    except GlassBoxError as error:
        print(f"glassbox: {printable_lines(str(error))}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
