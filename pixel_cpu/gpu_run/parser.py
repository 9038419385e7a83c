"""The command line of ``gpu-run``, from which help, manual page and shell completion are made."""

from __future__ import annotations

import argparse
import math

from qemu_bridge import __version__
from qemu_bridge.memory.addresses import parse_size

from ..errors import UsageError

DEVICES = {"auto": "", "cpu": "cpu", "webgpu": "wgpu", "reference": "reference"}
"""What ``--device`` says, and the device of `pixel_cpu` that it is; auto chooses one."""
SHELLS = ("bash", "zsh", "fish")
MODES = ("merge", "dir", "jsonl")
_FILE = {"bash": "_shtab_compgen_files", "zsh": "_files", "fish": "(__fish_complete_path)"}
_FOLDER = {"bash": "_shtab_compgen_dirs", "zsh": "_files -/", "fish": "(__fish_complete_directories)"}
_EPILOG = """\
example: gpu-run count.wasm --args-file inputs.txt --dir data:/
gpu-run count.wasm --lanes 8 --env ID={lane} -- --seed {lane}
gpu-run --explain count.wasm"""


def make_parser() -> argparse.ArgumentParser:
    """The parser of the words before a lone ``--``."""
    parser = argparse.ArgumentParser(
        prog="gpu-run",
        usage="gpu-run [OPTIONS] MODULE [-- ARGUMENT ...]",
        description="Run a WASI program on thousands of lanes, each with its own memory, arguments, files and exit code.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module = parser.add_argument("module", nargs="?", metavar="MODULE", help="a .wasm file, made for wasm32-wasip1")
    module.complete = _FILE  # type: ignore[attr-defined]
    _add_inputs(parser.add_argument_group("what each lane gets"))
    _add_outputs(parser.add_argument_group("what comes out"))
    _add_limits(parser.add_argument_group("where, and how far"))
    _add_others(parser)
    return parser


def _add_inputs(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--lanes", type=_count, metavar="N", help="how many lanes; without it one, or one for each line of --args-file"
    )
    group.add_argument(
        "--args-file",
        metavar="FILE",
        help="arguments, a line for each lane, split as a shell does; - is standard input",
    ).complete = _FILE  # type: ignore[attr-defined]
    group.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="a variable; without a value that of this shell",
    )
    group.add_argument(
        "--dir", action="append", default=[], metavar="HOST[:GUEST]", help="a folder that all lanes see, read-only"
    ).complete = _FOLDER  # type: ignore[attr-defined]
    group.add_argument("--rw", action="store_true", help="let lanes write to the folders of --dir")
    group.add_argument(
        "--out-dir",
        metavar="HOST[:GUEST]",
        help="a folder of each lane's own, such as lane-{id}/, which it may write; GUEST is /out unless stated",
    ).complete = _FOLDER  # type: ignore[attr-defined]
    group.add_argument(
        "--stdin", metavar="FILE", help="what each lane reads; - is standard input; without it lanes read nothing"
    ).complete = _FILE  # type: ignore[attr-defined]
    group.add_argument(
        "--seed", type=_whole, metavar="N", help="random numbers from this seed, the same in all lanes and runs"
    )


def _add_outputs(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--stdout",
        choices=MODES,
        help="merge: what lanes print, lane after lane; dir: files stdout and stderr in --out-dir; jsonl: a JSON object for each lane",
    )
    group.add_argument(
        "--json",
        action="store_true",
        help="the summary as JSON, behind a JSON object for each lane; with --explain, its tables",
    )
    group.add_argument("--ps", action="store_true", help="a table of the lanes, live on a terminal, else at the end")
    group.add_argument(
        "--explain",
        action="store_true",
        help="do not run: say how functions will run, memory, lanes of a wave, imports",
    )


def _add_limits(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--device",
        choices=DEVICES,
        default="auto",
        help="auto is webgpu where there is a GPU that takes the program, else cpu; which one ran is told (default: auto)",
    )
    group.add_argument(
        "--memory", type=_size, metavar="SIZE", help="memory of all lanes that run at once; more lanes run in waves"
    )
    group.add_argument("--pages", type=_count, metavar="N", help="pages of 64 KiB that a lane's memory may grow to")
    group.add_argument("--stack", type=_size, metavar="SIZE", help="a lane's room for frames of its functions")
    group.add_argument(
        "--fuel", type=_count, metavar="N", help="ways round loops that a lane may go; without it there is no end"
    )
    group.add_argument(
        "--timeout",
        type=_seconds,
        metavar="SECONDS",
        help="end lanes that still run after this time; the status is 124",
    )


def _add_others(parser: argparse.ArgumentParser) -> None:
    talk = parser.add_mutually_exclusive_group()
    talk.add_argument("-q", "--quiet", action="store_true", help="say errors only")
    talk.add_argument("-v", "--verbose", action="store_true", help="say what is done, and every trap")
    parser.add_argument("--completion", choices=SHELLS, help="print a completion script for a shell")
    parser.add_argument("--version", action="version", version=f"gpu-run {__version__}")


def _whole(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def _count(text: str) -> int:
    number = _whole(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 < found < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return found


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
