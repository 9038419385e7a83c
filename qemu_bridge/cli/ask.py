"""The verb ask: a question in words, understood as one command, which is run."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import EXIT_USAGE, UsageError
from .options import Verbs, add_json, add_name, add_verb, complain, connect, print_json, print_lines, say

if TYPE_CHECKING:
    from ..gateway.understanding import Request, Unsure


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verb to the parser."""
    parser = add_verb(verbs, "ask", ask, "glassbox ask demo 'which process uses the most memory?'")
    add_name(parser)
    parser.add_argument("question", metavar="WORDS", nargs="*", help="a question or a wish, in English")
    parser.add_argument("--examples", action="store_true", help="print questions that are understood")
    parser.add_argument("--dry-run", action="store_true", help="say what is understood, and do nothing")
    parser.add_argument("--allow-control", action="store_true", help="also pause, stop, trace and capture the machine")
    parser.add_argument("--allow-write", action="store_true", help="also run commands in the guest")
    add_json(parser)


def ask(options: argparse.Namespace) -> int:
    """Answer a question in words: say what it is understood as, and the command that asks the same; exit status 2 when it is not certain."""
    from ..gateway.asking import NO_VIEWER, describe, where_instead
    from ..gateway.understanding import EXAMPLES, GuestNames, Request, understand

    if options.examples:
        print_lines("\n".join(EXAMPLES))
        return 0
    question = " ".join(options.question)
    if not question.strip():
        raise UsageError("nothing is asked; 'glassbox ask NAME --examples' shows what can be")
    with connect(options) as client:
        meaning = understand(question, GuestNames(client), options.name)
        has_viewers = isinstance(meaning, Request) and meaning.operation == "highlight" and bool(client.viewers())
    if not isinstance(meaning, Request):
        return _tell_unsure(options, meaning)
    done = meaning if has_viewers or options.dry_run else where_instead(meaning)
    words = list(done.command(options.name)[1:])
    note = "" if done is meaning else f"{NO_VIEWER}; 'glassbox view {options.name}' opens one"
    flag = _missing_permission(options, meaning)
    if not options.json:
        say(f"understood as: {meaning.says}")
        say(f"command: {meaning.command_text(options.name)}")
        if note:
            say(note)
    if flag and not options.dry_run:
        if options.json:
            print_json({**describe(meaning, options.name), "answer": None, "note": f"it needs {flag}"})
        complain(f"this changes the machine, so nothing was done; run that command, or ask again with {flag}")
        return EXIT_USAGE
    if options.dry_run:
        if options.json:
            print_json({**describe(meaning, options.name), "answer": None, "note": "dry run"})
        return 0
    return _answer(options, meaning, words, note)


def _missing_permission(options: argparse.Namespace, request: Request) -> str:
    """The flag without which this is not done, empty for none."""
    if request.permission.value == "control" and not (options.allow_control or options.allow_write):
        return "--allow-control"
    return "--allow-write" if request.permission.value == "write" and not options.allow_write else ""


def _answer(options: argparse.Namespace, request: Request, words: Sequence[str], note: str) -> int:
    # The very command that was told, in this process: the answer is its answer.
    from ..gateway.asking import describe
    from . import main

    if not options.json:
        return main(words)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        status = main([*words, *(["--json"] if _takes_json(words) else [])])
    text = output.getvalue()
    try:
        answer = json.loads(text)
    except ValueError:
        answer = text or None
    print_json({**describe(request, options.name), "answer": answer, "note": note})
    return status


def _takes_json(words: Sequence[str]) -> bool:
    from . import make_parser

    parser = make_parser(words[0])
    action = next(action for action in parser._actions if action.dest == "verb")
    choices: dict[str, argparse.ArgumentParser] = action.choices  # type: ignore[assignment]
    return any("--json" in option.option_strings for option in choices[words[0]]._actions)


def _tell_unsure(options: argparse.Namespace, unsure: Unsure) -> int:
    from ..gateway.asking import describe_unsure

    if options.json:
        print_json(describe_unsure(unsure, options.name))
        return EXIT_USAGE
    complain(f"not sure what is asked: {unsure.reason}")
    for request in unsure.alternatives:
        say(f"  {request.says}: {request.command_text(options.name)}")
    if not unsure.alternatives:
        say(f"'glassbox ask {options.name} --examples' shows what can be asked")
    return EXIT_USAGE
