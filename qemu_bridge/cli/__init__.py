"""The command ``glassbox``: one public function per verb, each a few lines over the library.

The modules import argparse and little else; what a verb needs is imported when it runs, so that the help of all verbs costs little.

Data goes to standard output, messages to standard error. Exit status: 0 done, 1 failed or no (nothing found, something differs),
2 wrong usage, 130 interrupted (docs/how-to.md). ``--json`` prints what a table shows as JSON; a stream is one object a line.
"""

from __future__ import annotations

from ..host.startup import INTERRUPTED, release

# isort: split
import argparse
import difflib
import importlib
import io
import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Protocol, cast

from .. import __version__
from ..errors import EXIT_FAILED, EXIT_USAGE, GlassBoxError, UsageError
from ..host import settings
from .options import Verbs, add_talk, bold, complain, set_talk
from .pager import paged
from .parser import VerbParser

__all__ = ["GROUPS", "TAKE_THE_REST", "main", "make_parser"]

_MODULES = {
    "machine": ("start", "status", "stop", "pause", "resume", "console", "exec", "qmp", "events"),
    "top": ("top",),
    "network": ("flows",),
    "attach": ("attach",),
    "capture": ("capture", "compare"),
    "checkpoints": ("checkpoint", "checkpoints", "restore", "forget", "fork"),
    "export": ("export",),
    "gdb": ("gdb",),
    "memory": ("peek", "find", "dirty"),
    "files": ("files", "extract"),
    "names": ("ps", "maps", "modules", "sym"),
    "hunt": ("hunt",),
    "overlays": ("overlay",),
    "places": ("identify", "whose", "resolve", "where", "targets"),
    "call": ("call",),
    "picture": ("snap", "view", "record-video", "run"),
    "viewers": ("viewers", "highlight", "fly-to"),
    "ask": ("ask",),
    "mcp": ("mcp",),
    "trace": ("trace",),
    "learn": ("learn",),
    "learned": ("learned",),
    "gpu": ("gpu",),
    "serve": ("serve",),
    "guest_images": ("image",),
    "keys": ("keys",),
    "setup": ("doctor", "config", "completion"),
}
"""The modules in the order of the help, and their verbs: only the module of the verb that is typed is loaded."""
GROUPS = {
    "machines": (
        "run",
        "start",
        "attach",
        "status",
        "top",
        "flows",
        "pause",
        "resume",
        "stop",
        "console",
        "exec",
        "events",
        "qmp",
    ),
    "names in RAM": ("ps", "maps", "modules", "sym", "overlay", "hunt"),
    "in words": ("ask", "mcp"),
    "memory": ("identify", "resolve", "targets", "peek", "find", "dirty", "files", "extract"),
    "moments": ("checkpoint", "checkpoints", "restore", "forget", "fork", "capture", "compare", "export"),
    "pictures": ("view", "viewers", "highlight", "fly-to", "snap", "record-video"),
    "execution": ("trace", "learn", "learned", "gdb"),
    "kernels": ("gpu",),
    "services": ("serve",),
    "other hosts": ("keys",),
    "setting up": ("image", "doctor", "config", "completion", "call"),
}
"""The verbs as the help groups them."""
_WIDTH = 80
TAKE_THE_REST = ("start", "run", "exec", "gdb")
"""Verbs that pass on the arguments after "--"."""


def make_parser(verb: str = "") -> argparse.ArgumentParser:
    """The parser of the whole command line, from which shell completion and docs are made; of one `verb` if it is given."""
    parser = _Parser(
        prog="glassbox",
        description="See a running Linux guest's memory from outside: every page named, live, in 3D.",
        epilog="Start with 'glassbox run'. Every other verb reads 'glassbox VERB NAME ...', NAME being a running machine\nor the folder of a capture.",
    )
    parser.add_argument("--host", metavar="USER@HOST", help="where NAME runs: behind ssh, or at tcp://ADDRESS:PORT")
    parser.add_argument("--version", action="version", version=f"glassbox {__version__}")
    add_talk(parser)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=VerbParser)
    for name, its_verbs in _MODULES.items():
        if verb in its_verbs or not any(verb in each for each in _MODULES.values()):
            cast(_Module, importlib.import_module(f".{name}", __name__)).add_verbs(verbs)
    return parser


class _Parser(argparse.ArgumentParser):
    """The parser of all verbs, whose help groups them."""

    def format_help(self) -> str:
        return "\n".join([*_overview(), "", *_verb_summaries(self), *_OPTIONS, ""])


_OPTIONS = (
    "-q says errors only, -v more. 'glassbox VERB --help' says what a verb takes.",
    "NAME is a running machine or the folder of a capture.",
    "'--host USER@HOST': NAME runs there, and is reached by ssh.",
)


def _overview() -> list[str]:
    return [
        "usage: glassbox [-q | -v] VERB [NAME] ...",
        "",
        "See a running Linux guest's memory from outside: every page named, live, in 3D.",
        "'glassbox run' boots one and draws it.",
    ]


def _verb_summaries(parser: argparse.ArgumentParser) -> Iterator[str]:
    actions = next(action for action in parser._actions if action.dest == "verb")
    parsers = cast(dict[str, argparse.ArgumentParser], actions.choices)
    for title, verbs in GROUPS.items():
        yield bold(title, sys.stdout)
        for verb in verbs:
            summary = parsers[verb].description if verb in parsers else ""
            yield textwrap.fill(summary or "", _WIDTH, initial_indent=f"  {verb:14}", subsequent_indent=" " * 16)
        yield ""


def _short_help() -> str:
    """What ``glassbox`` alone says."""
    groups = [
        textwrap.fill(", ".join(verbs), _WIDTH, initial_indent=f"  {title:14}", subsequent_indent=" " * 16)
        for title, verbs in GROUPS.items()
    ]
    return "\n".join([*_overview(), "", *groups, "", "'glassbox --help' says what each does."])


def _complain_of_verb(word: str) -> int:
    known = [verb for verbs in GROUPS.values() for verb in verbs]
    close = difflib.get_close_matches(word, known, 3) or [verb for verb in known if verb.startswith(word)]
    hint = f"did you mean {' or '.join(close)}?" if close else "'glassbox --help' lists them"
    complain(f"there is no verb {word!r}; {hint}")
    return EXIT_USAGE


class _Module(Protocol):
    def add_verbs(self, verbs: Verbs, /) -> None: ...


def _spell_out(words: list[str]) -> list[str]:
    if words[:1] not in (["trace"], ["learn"]):
        return words
    from .learn import spell_out as spell_learn
    from .trace import spell_out as spell_trace

    return spell_trace(spell_learn(words))


_ELSEWHERE = frozenset(
    "ps maps modules sym overlay hunt identify whose resolve where targets peek find dirty files extract call status pause resume stop exec qmp"
    " events snap view record-video".split()
)
"""Verbs that look at a machine on another host as at one on this."""


def _take_host(words: list[str]) -> tuple[str, list[str]]:
    """(host, words): the value of ``--host`` before the verb, empty without one, and the words without it."""
    for place, word in enumerate(words):
        if word == "--host" and place + 1 < len(words):
            return words[place + 1], words[:place] + words[place + 2 :]
        if word.startswith("--host="):
            return word.removeprefix("--host="), words[:place] + words[place + 1 :]
        if not word.startswith("-"):
            break
    return "", words


def _go_to(host: str, options: argparse.Namespace) -> None:
    """Let NAME be the one on `host`."""
    if not host:
        return
    from ..wire.endpoints import on_host, parse_remote

    if options.verb not in _ELSEWHERE:
        there = parse_remote(on_host(host, "x")).host.strip("[]") if host.startswith("tcp://") else host
        raise UsageError(
            f"{options.verb} works on its own host only; run it there, as by 'ssh {there} glassbox {options.verb} ...'"
        )
    if not options.name:
        raise UsageError(f"which machine on {host}? give its name; 'ssh {host} glassbox status' lists them")
    options.name = on_host(host, options.name)
    if others := getattr(options, "others", None):
        options.others = [on_host(host, name) for name in others]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status; an error is one line on standard error."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # A guest's file may have any name; characters that the terminal cannot encode must not raise.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if not words:
        sys.stdout.write(_short_help() + "\n")
        return 0
    host, words = _take_host(words)
    verb = next((word for word in words if word not in ("-q", "-v", "--quiet", "--verbose", "--log-json")), "")
    if not verb.startswith("-") and not any(verb in verbs for verbs in _MODULES.values()):
        return _complain_of_verb(verb)
    try:
        settings.apply()
    except UsageError as error:
        complain(str(error))
        return EXIT_USAGE
    # Everything after a lone "--" goes to QEMU or to the guest unparsed.
    split = words.index("--") if "--" in words and verb in TAKE_THE_REST else len(words)
    # The script of a shell's completion is made from all verbs.
    parser = make_parser("" if verb == "completion" else verb)
    options = parser.parse_args(_spell_out(words[:split]))
    set_talk(options)
    options.parser = parser
    options.rest = words[split + 1 :]
    try:
        _go_to(options.host or host, options)
        release()
        with paged(verb):
            status = options.function(options) or 0
        sys.stdout.flush()
        return status
    except GlassBoxError as error:
        complain(str(error))
        return error.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`glassbox ps demo | head`).
        _drop_output()
        return 0
    except OSError as error:
        # A file or folder of the user's, such as an output path that is not writable.
        complain(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
        try:
            sys.stdout.flush()
        except OSError:
            _drop_output()
        return EXIT_FAILED


def _drop_output() -> None:
    """Keep Python from reporting at exit what standard output does not take."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
