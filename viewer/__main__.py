"""``python -m viewer``: a picture of a running machine (``snap``), or a window on it (``view``)."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qemu_bridge.errors import GlassBoxError
from qemu_bridge.host.printable import printable_lines

if TYPE_CHECKING:
    from .sources.machine import MachineSource


_INTERRUPTED = 130
_END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def build_parser() -> argparse.ArgumentParser:
    """The command line of ``python -m viewer``."""
    parser = argparse.ArgumentParser(prog="viewer", description="See a running guest's memory on a 3D Hilbert curve.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    snap = verbs.add_parser("snap", help="write a picture of a machine; needs no display")
    view = verbs.add_parser("view", help="open a window on a machine")
    video = verbs.add_parser("video", help="write a video of a machine; needs no display")
    verbs.add_parser("adapter", help="say which graphics adapter draws")
    for verb in (snap, view, video):
        verb.add_argument("name", metavar="NAME", help="a running machine")
        verb.add_argument("--size", default="1280x720", metavar="WxH", help="pixels (default %(default)s)")
        verb.add_argument(
            "--at",
            metavar="TEXT",
            help="the view, as the window's y key copies it, such as yaw=35,pitch=25,mode=entropy; default: what shows most",
        )
        verb.add_argument("--camera", metavar="TEXT", help="the same")
        verb.add_argument("--against", metavar="CAPTURE", help="show what differs from this capture of the machine")
        verb.add_argument(
            "--order", type=int, metavar="N", help="order of the voxel grid, 6 to 10; default: the finest that fits"
        )
    snap.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the PNG to write")
    video.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the MP4 to write")
    video.add_argument("--script", metavar="FILE", help="shots, see docs/viewer.md; - reads standard input")
    video.add_argument("--seconds", type=float, default=10.0, metavar="S", help="how long without a script")
    video.add_argument("--fps", type=int, default=30, metavar="N", help="frames a second (default %(default)s)")
    view.add_argument("--frames", type=int, metavar="N", help="close after N frames")
    view.add_argument("--after", type=float, metavar="SECONDS", help="close after this time")
    view.add_argument(
        "--screenshot", type=Path, metavar="FILE", help="write what the window shows when it closes by itself"
    )
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Do what the parsed `arguments` say; raises `GlassBoxError` kinds."""
    from gpu_device.device import adapter_name, request_adapter

    from .app.window import open_window
    from .picture.offscreen import parse_picture_size, snap
    from .sources.comparison import with_difference
    from .sources.machine import MachineSource

    if arguments.verb == "adapter":
        print(adapter_name(request_adapter()))
        return
    size = parse_picture_size(arguments.size)
    source = MachineSource(arguments.name, arguments.against)
    arguments.at = arguments.at or arguments.camera or ""
    if source.comparison is not None:
        arguments.at = with_difference(arguments.at)
    if arguments.verb == "snap":
        snap(source, arguments.output, size, arguments.at, arguments.order)
        return
    if arguments.verb == "video":
        _record(source, arguments, size)
        return
    open_window(
        source,
        frames=arguments.frames,
        screenshot=arguments.screenshot,
        after_s=arguments.after,
        size=size,
        view=arguments.at or None,
        order=arguments.order,
    )


def _record(source: MachineSource, arguments: argparse.Namespace, size: tuple[int, int]) -> None:
    """Write a video along a script, or of one view for some seconds."""
    from .picture.offscreen import choose_camera
    from .picture.video import Shot, parse_script, read_script, record
    from .render.raymarch import Renderer
    from .render.scene import Scene
    from .view.views import View, parse_view

    script = None if arguments.script is None else read_script(arguments.script)

    def shots(scene: Scene) -> tuple[Shot, ...]:
        start = View(choose_camera(Renderer(scene)))
        if arguments.at:
            start = parse_view(arguments.at, start)
        return parse_script(f"{arguments.seconds} hold" if script is None else script, start)

    def show(done: int, total: int) -> None:
        if sys.stderr.isatty():
            end = "\n" if done == total else ""
            print(f"\rglassbox: frame {done} of {total}", end=end, file=sys.stderr, flush=True)

    record(source, arguments.output, shots, size=size, fps=arguments.fps, progress=show)


class _Talk(logging.Formatter):
    """A line of the log for a terminal: what it quotes of a guest, the names of its processes first, cannot drive that."""

    def format(self, record: logging.LogRecord) -> str:
        return printable_lines(super().format(record))


def _end_once(number: int, frame: object) -> None:
    # The first signal ends us; more must not cut short what is finished on the way out, as the end of a video.
    # A function that does nothing, as Python takes offence at a signal that comes just when it is to be ignored.
    for each in _END_SIGNALS:
        signal.signal(each, lambda number, frame: None)
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0, 1 for a failure, 2 for a wrong word, 130 if interrupted."""
    parsed = build_parser().parse_args(arguments)
    talk = logging.StreamHandler()
    talk.setFormatter(_Talk("glassbox: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[talk])
    if parsed.verb == "view":
        logging.getLogger("viewer").setLevel(logging.INFO)
    try:
        run(parsed)
    except GlassBoxError as error:
        print(f"glassbox: {printable_lines(str(error))}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


if __name__ == "__main__":
    for each in _END_SIGNALS:
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, _end_once)
    sys.exit(main())
