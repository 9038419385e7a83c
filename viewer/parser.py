"""The arguments of the verbs that draw, declared once: for ``python -m viewer`` and for ``glassbox`` alike.

Only argparse is imported, so that ``glassbox --help`` loads neither NumPy nor a graphics library.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any


class Argument:
    """An option: its spellings, of which the first long one is passed on, and what argparse is told of it."""

    # A plain class: a dataclass or a named tuple would cost each start of `glassbox` more than all else here.
    __slots__ = ("flags", "keywords", "name")

    def __init__(self, *flags: str, dest: str, **keywords: Any) -> None:  # noqa: ANN401  # as argparse takes them
        self.flags, self.name, self.keywords = flags, dest, {"dest": dest, **keywords}


def _shared(size_help: str, at_help: str) -> tuple[Argument, ...]:
    return (
        Argument("--size", dest="size", default="1280x720", metavar="WxH", help=f"{size_help} (default: %(default)s)"),
        Argument(
            "--at", "--camera", dest="at", default="", metavar="TEXT", help=f"{at_help}; --camera is the old spelling"
        ),
        Argument(
            "--against", dest="against", metavar="CAPTURE", help="show what differs from this capture of the machine"
        ),
        Argument(
            "--order",
            dest="order",
            type=int,
            metavar="N",
            help="order of the voxel grid, 6 to 10 (default: the finest that fits)",
        ),
    )


_JSON = Argument("--json", dest="json", action="store_true", help="print the result as JSON")
ARGUMENTS: dict[str, tuple[Argument, ...]] = {
    "snap": (
        Argument(
            "-o",
            "--output",
            dest="output",
            metavar="PNG",
            default="glassbox.png",
            help="the file to write (default: %(default)s)",
        ),
        *_shared("pixels", "the view, as the window's y key copies it, such as yaw=35,pitch=25,mode=owner"),
        _JSON,
    ),
    "view": (
        *_shared("the window's size", "the view to open with, as the window's y key copies it"),
        Argument("--frames", dest="frames", type=int, metavar="N", help="close after N frames"),
        Argument("--after", dest="after", type=float, metavar="SECONDS", help="close after this time"),
        Argument(
            "--screenshot",
            dest="screenshot",
            metavar="PNG",
            help="write what the window shows when it closes by itself",
        ),
    ),
    "record-video": (
        Argument("-o", "--output", dest="output", metavar="MP4", required=True, help="the file to write"),
        Argument(
            "--script",
            dest="script",
            metavar="FILE",
            help="shots, a line each (docs/viewer.md); - reads standard input",
        ),
        Argument(
            "--seconds",
            dest="seconds",
            type=float,
            default=10.0,
            metavar="S",
            help="how long without a script (default: %(default)g)",
        ),
        Argument("--fps", dest="fps", type=int, default=30, metavar="N", help="frames a second (default: %(default)s)"),
        *_shared("pixels", "the view to begin with"),
        _JSON,
    ),
}
"""The options of each verb; all take the NAME of a machine or of a capture's folder before them, or several."""


def add_arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Add the options of `verb` to its parser."""
    for argument in ARGUMENTS[verb]:
        parser.add_argument(*argument.flags, **argument.keywords)


def add_others(parser: argparse.ArgumentParser) -> argparse.Action:
    """Add the names of more machines, behind the first."""
    return parser.add_argument("others", metavar="NAME", nargs="*", help="more of them, to stand beside it")


def spell(verb: str, options: argparse.Namespace) -> list[str]:
    """The words that, parsed again, give the same `options` of `verb`."""
    return [word for argument in ARGUMENTS[verb] for word in _words(argument, getattr(options, argument.name))]


def _words(argument: Argument, value: object) -> Iterator[str]:
    flag = next(flag for flag in argument.flags if flag.startswith("--"))
    if value is True:
        yield flag
    elif value is not None and value is not False and value != argument.keywords.get("default"):
        yield f"{flag}={value}"


def build_parser() -> argparse.ArgumentParser:
    """The command line of ``python -m viewer``."""
    parser = argparse.ArgumentParser(prog="viewer", description="See a running guest's memory on a 3D Hilbert curve.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, summary in (
        ("snap", "write a picture of a machine; needs no display"),
        ("view", "open a window on a machine"),
        ("record-video", "write a video of a machine; needs no display"),
    ):
        child = verbs.add_parser(verb, help=summary)
        child.add_argument("name", metavar="NAME", help="a running machine, or the folder of a capture")
        add_others(child)
        add_arguments(child, verb)
    verbs.add_parser("adapter", help="print which graphics adapter draws")
    live = verbs.add_parser(
        "live", help="draw machines for the gateway: commands on standard input, pictures on output"
    )
    live.add_argument("name", metavar="NAME", help="a running machine")
    add_others(live)
    job = verbs.add_parser("job", help="do one operation for the daemon: JSON on standard input and output")
    job.add_argument("operation", choices=("snap", "record_video"), help="what to do")
    return parser
