"""Write a manual page from a command's parser: ``python docs/make_man.py docs/man/glassbox.1``, and ``gpu-run.1``; ``--check`` only compares."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from pixel_cpu import gpu_run
from qemu_bridge import __version__
from qemu_bridge.cli import GROUPS, make_parser

_TAIL = r"""
.SH EXIT STATUS
0 done; 1 failed, or the answer is no; 2 wrong usage; 130 interrupted with Ctrl-C; of
.B glassbox exec
the command's own.
.SH ENVIRONMENT
.TP
.BR XDG_RUNTIME_DIR ", " XDG_STATE_HOME ", " XDG_CONFIG_HOME ", " XDG_CACHE_HOME
where sockets, logs, settings and images are.
.TP
.B NO_COLOR
no bold and no colours.
.TP
.BR GLASSBOX_RAM_DIR ", " GLASSBOX_QEMU ", " GLASSBOX_ADAPTER ", " GLASSBOX_SYMBOL_CACHE
the folder of guest RAM, the QEMU program, the GPU, the cache of kernel symbols.
.SH FILES
.TP
.I $XDG_RUNTIME_DIR/glassbox/NAME.json
how a machine is found.
.TP
.I ~/.local/state/glassbox/NAME/
its logs.
.SH SEE ALSO
.BR qemu-system-x86_64 (1)
"""


def make_page() -> str:
    """The page as roff."""
    parser = make_parser()
    head = [
        f'.TH GLASSBOX 1 "" "Glass Box {__version__}" "User Commands"',
        ".SH NAME",
        rf"glassbox \- {_text(_lower(parser.description or ''))}",
        ".SH SYNOPSIS",
        r".B glassbox",
        r"[\-q | \-v] VERB [NAME] ...",
        ".SH DESCRIPTION",
        _text(parser.epilog or ""),
        r"Each verb also takes \fB\-q\fR (say errors only), \fB\-v\fR (say what is done) and \fB\-h\fR.",
    ]
    verbs = _commands(parser)
    for title, names in GROUPS.items():
        head.append(f".SH {title.upper()}")
        for name in names:
            head += _command(f"glassbox {name}", verbs[name])
    return "\n".join(head) + _TAIL


_GPU_RUN_TAIL = r"""
.SH EXIT STATUS
0 all lanes gave 0; 1 a lane gave another code, or ended by a trap; 2 wrong usage; 124 the time was over; 130 and 143 interrupted;
with one lane that lane's own, 134 if it ended by a trap.
.SH ENVIRONMENT
.TP
.B NO_COLOR
no colours; there are none.
.TP
.B GLASSBOX_ADAPTER
the GPU, by a part of its name.
.SH SEE ALSO
.BR glassbox (1)
"""


def make_gpu_run_page() -> str:
    """The page of ``gpu-run``, which has no verbs."""
    parser = gpu_run.make_parser()
    head = [
        f'.TH GPU\\-RUN 1 "" "Glass Box {__version__}" "User Commands"',
        ".SH NAME",
        rf"gpu\-run \- {_text(_lower(parser.description or ''))}",
        ".SH SYNOPSIS",
        r".B gpu\-run",
        _text("[OPTIONS] MODULE [-- ARGUMENT ...]"),
        ".SH DESCRIPTION",
        _text(parser.description or ""),
        "What stands behind a lone",
        r".B \-\-",
        "is passed on to all lanes.",
    ]
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if action.dest != "help"]
        if actions:
            head += [f".SH {_text((group.title or '').upper())}", *_options(actions)]
    head += [".SH EXAMPLES", *_example(parser)]
    return "\n".join(head) + _GPU_RUN_TAIL


PAGES = {"glassbox.1": make_page, "gpu-run.1": make_gpu_run_page}


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _command(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    actions = [
        action for action in parser._actions if action.dest not in ("help", "quiet", "verbose", "action", "verb")
    ]
    words = " ".join(_placeholder(action) for action in actions if not action.option_strings)
    inner = {id(each): (word, each) for word, each in reversed(_commands(parser).items())}
    yield f".SS {_text(name)} {_text(words)}".rstrip()
    yield _text(parser.description or "")
    yield from _options(actions)
    if parser.epilog:
        yield ".PP"
        yield "Example:"
        yield from _example(parser)
    for word, each in reversed(inner.values()):
        yield from _command(f"{name} {word}", each)


def _options(actions: list[argparse.Action]) -> Iterator[str]:
    for action in actions:
        if isinstance(action, argparse._SubParsersAction) or action.help == argparse.SUPPRESS:
            continue
        value = "" if action.nargs == 0 or not action.option_strings else rf" \fI{_text(_placeholder(action))}\fR"
        flags = ", ".join(rf"\fB{_text(flag)}\fR" for flag in action.option_strings)
        yield ".TP"
        yield (flags or rf"\fI{_text(_placeholder(action))}\fR") + value
        help_ = action.help % {"prog": "", "default": action.default} if action.help else ""
        yield _text(help_)


def _example(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield ".EX"
    lines = (parser.epilog or "").removeprefix("example:").strip().split("\n")
    yield from (rf"\&    {_text(line.strip())}" for line in lines)
    yield ".EE"


def _placeholder(action: argparse.Action) -> str:
    name = action.metavar or (",".join(map(str, action.choices)) if action.choices else action.dest.upper())
    word = name if isinstance(name, str) else " ".join(name)
    return f"[{word}]" if action.nargs in ("?", "*") and not action.option_strings else word


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def _text(words: str) -> str:
    """`words` that roff takes for what they are."""
    words = (
        re.sub(r"\s+", " ", words).replace("\\", r"\e").replace("-", r"\-").replace("^", r"\(ha").replace("~", r"\(ti")
    )
    words = words.replace("`", r"\(ga")
    return rf"\&{words}" if words.startswith((".", "'")) else words


def main() -> int:
    """Write the page to the path given, or compare it with what is there."""
    path = Path(sys.argv[-1])
    page = PAGES[path.name]()
    if "--check" in sys.argv:
        return 0 if path.read_text() == page else 1
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
