"""Options of a verb: before, between and behind its words."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pytest

from qemu_bridge.cli import _spell_out, make_parser


def iter_verbs(parser, words=()) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Each verb, and each action of a verb that has some: its words, and its parser."""
    nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not nested:
        yield words, parser
    for name, inner in nested[0].choices.items() if nested else ():
        yield from iter_verbs(inner, (*words, name))


PARSER = make_parser()
VERBS = dict(iter_verbs(PARSER))


def value_for(action) -> str:
    """A word that `action` takes."""
    if action.choices:
        return str(next(iter(action.choices)))
    for word in ("7", "0x1000", "7:7", "a=7", "7K"):
        try:
            action.type(word) if callable(action.type) else word
        except (ValueError, TypeError, argparse.ArgumentTypeError):
            continue
        return word
    raise AssertionError(f"no word for {action.dest}")


def words_of(parser) -> list[str]:
    """A word for each positional argument, two for the last where it takes several; none for those that take all that follows."""
    words = []
    for action in parser._get_positional_actions():
        if action.nargs != argparse.REMAINDER:
            words += [value_for(action)] * (2 if action.nargs in ("*", "+") else 1)
    return words


def as_words(option) -> list[str]:
    """The longest name of `option`, and a value if it takes one."""
    return [option.option_strings[-1], *([value_for(option)] if option.nargs is None else [])]


def required_of(parser):
    """The options that `parser` demands, and the first of each group of which it demands one."""
    groups = [group for group in parser._mutually_exclusive_groups if group.required]
    return [
        *(each for each in parser._get_optional_actions() if each.required),
        *(group._group_actions[0] for group in groups),
    ], {each for group in groups for each in group._group_actions}


def outcome(verb, words):
    """What the parser makes of a command line, or that it refuses it."""
    try:
        return vars(PARSER.parse_args(_spell_out([*verb, *words])))
    except SystemExit:
        return "refused"


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_help_shows_every_word_and_option(words, capsys):
    with pytest.raises(SystemExit) as ended:
        make_parser().parse_args([*words, "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0 and "==SUPPRESS==" not in told and "%(" not in told
    for action in VERBS[words]._actions:
        if action.help != argparse.SUPPRESS:
            assert (action.option_strings or [str(action.metavar or action.dest)])[-1] in told


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_an_option_may_stand_anywhere(verb, capsys):
    parser, words = VERBS[verb], words_of(VERBS[verb])
    required, grouped = required_of(parser)
    before = [word for each in required for word in as_words(each)]
    # Behind the name of a machine the guest's own command begins.
    last = 0 if any(each.nargs == argparse.REMAINDER for each in parser._actions) else len(words)
    for option in parser._get_optional_actions():
        if option.dest == "help" or option.nargs not in (None, 0) or option in required or option in grouped:
            continue
        first = outcome(verb, [*before, *as_words(option), *words])
        assert first != "refused", (verb, option.dest, capsys.readouterr().err)
        for place in range(1, last + 1):
            assert outcome(verb, [*before, *words[:place], *as_words(option), *words[place:]]) == first, (option, place)


@pytest.mark.parametrize(
    "words",
    [("--allow-control", "pause", "it"), ("pause", "--allow-control", "it"), ("pause", "it", "--allow-control")],
)
def test_a_question_may_stand_around_an_option(words):
    options = make_parser("ask").parse_args(["ask", "demo", *words])
    assert options.question == ["pause", "it"] and options.allow_control


def test_behind_two_dashes_nothing_is_an_option():
    options = make_parser("ask").parse_args(["ask", "demo", "--json", "--", "--what", "is", "it"])
    assert options.question == ["--what", "is", "it"] and options.json


def test_an_option_that_is_not_there_and_a_word_too_many_are_told(command):
    for words in (
        ("ask", "demo", "--colour", "pause it"),
        ("peek", "demo", "0x0", "16", "17"),
        ("ps", "demo", "nobody"),
        ("peek", "--json"),
    ):
        done = command(*words)
        assert done.status == 2 and f"usage: glassbox {words[0]} " in done.err, done
    assert "NAME" in command("peek", "--json").err
