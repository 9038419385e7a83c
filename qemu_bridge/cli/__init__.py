"""The command ``glassbox``: one public function per verb, each a few lines over the library.

The modules import argparse and little else; what a verb needs is imported when it runs, so that the help of all verbs costs little.

Data goes to standard output, messages to standard error. Exit status: 0 done, 1 failed, 2 wrong usage,
130 interrupted. ``--json`` prints what a table shows as JSON; a stream is one object a line.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import Protocol, cast

from .. import __version__
from ..errors import EXIT_FAILED, GlassBoxError
from .options import Verbs, say

__all__ = ["TAKE_THE_REST", "main", "make_parser"]

_MODULES = {
    "machine": ("start", "status", "stop", "pause", "resume", "console", "exec", "qmp", "events"),
    "attach": ("attach",),
    "capture": ("capture", "compare"),
    "memory": ("peek", "find", "dirty"),
    "names": ("ps", "maps", "modules", "sym"),
    "overlays": ("overlay",),
    "places": ("identify", "whose", "resolve", "where", "targets"),
    "call": ("call",),
    "picture": ("snap", "view", "record-video", "run"),
    "trace": ("trace",),
    "guest_images": ("image",),
    "setup": ("doctor", "completion"),
}
"""The modules in the order of the help, and their verbs: only the module of the verb that is typed is loaded."""
_INTERRUPTED = 130
TAKE_THE_REST = ("start", "run", "exec")
"""Verbs that pass on the arguments after "--"."""


def make_parser(verb: str = "") -> argparse.ArgumentParser:
    """The parser of the whole command line, from which shell completion and docs are made; of one `verb` if it is given."""
    parser = argparse.ArgumentParser(
        prog="glassbox",
        description="See a running Linux guest's memory from outside: every page named, live, in 3D.",
        epilog="Start with 'glassbox run'. Every other verb reads 'glassbox VERB NAME ...', NAME being a running machine\nor the folder of a capture.",
    )
    parser.add_argument("--version", action="version", version=f"glassbox {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, its_verbs in _MODULES.items():
        if verb in its_verbs or not any(verb in each for each in _MODULES.values()):
            cast(_Module, importlib.import_module(f".{name}", __name__)).add_verbs(verbs)
    return parser


class _Module(Protocol):
    def add_verbs(self, verbs: Verbs, /) -> None: ...


def _spell_out(words: list[str]) -> list[str]:
    if words[:1] != ["trace"]:
        return words
    from .trace import spell_out

    return spell_out(words)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status; an error is one line on standard error."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # A guest's file may have any name; characters that the terminal cannot encode must not raise.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    # Everything after a lone "--" goes to QEMU or to the guest unparsed.
    split = words.index("--") if "--" in words and words[0] in TAKE_THE_REST else len(words)
    verb = words[0] if words else ""
    # The script of a shell's completion is made from all verbs.
    parser = make_parser("" if verb == "completion" else verb)
    options = parser.parse_args(_spell_out(words[:split]))
    options.parser = parser
    options.rest = words[split + 1 :]
    try:
        status = options.function(options) or 0
        sys.stdout.flush()
        return status
    except GlassBoxError as error:
        say(str(error))
        return error.exit_status
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`glassbox ps demo | head`); keep Python from reporting it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # A file or folder of the user's, such as an output path that is not writable.
        print(f"glassbox: {error.strerror or error}{f': {error.filename}' if error.filename else ''}", file=sys.stderr)
        return EXIT_FAILED
