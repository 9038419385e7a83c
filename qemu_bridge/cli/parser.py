"""The parser of one verb: options stand before, between and behind its words."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any


class VerbParser(argparse.ArgumentParser):
    """A parser whose optional words may come behind an option.

    argparse takes words that may be absent for absent as soon as an option stands before them: ``ask demo --json who?`` would
    have no question.
    """

    _hidden: Sequence[tuple[argparse.Action, Any, Any]] = ()
    """Words that are hidden while options are read: the action, its nargs and default as defined."""

    def parse_known_args(  # type: ignore[override]  # argparse's overloads say the same of any namespace
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[Any, list[str]]:
        """As argparse: what the words say, and those that nothing takes."""
        words = list(sys.argv[1:] if args is None else args)
        if not any(each.nargs in (argparse.OPTIONAL, argparse.ZERO_OR_MORE) for each in self._get_positional_actions()):
            return self._refuse_unknown(super().parse_known_args(words, namespace))
        # What stands behind "--" is no option.
        end = words.index("--") if "--" in words else len(words)
        with self._options_alone():
            namespace, others = super().parse_known_args(words[:end], namespace)
        with self._options_done():
            return self._refuse_unknown(super().parse_known_args([*others, *words[end:]], namespace))

    def _refuse_unknown(self, found: tuple[Any, list[str]]) -> tuple[Any, list[str]]:
        # Here, as the parser of all verbs would show its own usage.
        if found[1]:
            self.error(f"unrecognized arguments: {' '.join(found[1])}")
        return found

    def format_usage(self) -> str:
        """As argparse, with all words."""
        with self._words_shown():
            return super().format_usage()

    def format_help(self) -> str:
        """As argparse, with all words and their defaults."""
        with self._words_shown():
            return super().format_help()

    @contextlib.contextmanager
    def _options_alone(self) -> Iterator[None]:
        self._hidden = [(each, each.nargs, each.default) for each in self._get_positional_actions()]
        self._hide()
        try:
            yield
        finally:
            self._show()
            self._hidden = ()

    @contextlib.contextmanager
    def _words_shown(self) -> Iterator[None]:
        self._show()
        try:
            yield
        finally:
            self._hide()

    def _hide(self) -> None:
        for action, _, _ in self._hidden:
            action.nargs, action.default = argparse.SUPPRESS, argparse.SUPPRESS

    def _show(self) -> None:
        for action, nargs, default in self._hidden:
            action.nargs, action.default = nargs, default

    @contextlib.contextmanager
    def _options_done(self) -> Iterator[None]:
        groups: list[Any] = [*self._get_optional_actions(), *self._mutually_exclusive_groups]
        required = [(each, each.required) for each in groups]
        for each in groups:
            each.required = False
        try:
            yield
        finally:
            for each, is_required in required:
                each.required = is_required
