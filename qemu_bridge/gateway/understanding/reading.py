"""A question as a topic reads it: which things it has in it, and whether the topic can account for all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from .clauses import refers_back
from .names import KnownProcess, Names
from .request import Request
from .token import Token
from .vocabulary import COMMON_WORDS

_ANTECEDENTS = (
    "owner", "name", "path", "address", "target_text", "unknown", "process", "thread", "module", "slab", "file", "kernel", "status", "symbol", "struct",
    "machines", "cache", "socket", "hot",
)  # fmt: skip
"""What ``its`` may stand for."""
_NAMED = ("owner", "name", "path", "address", "unknown", "pattern")
_OWNER_KINDS = ("pid",)


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that a question names: by `pid`, or by `name`, written `said` where that is another word."""

    name: str = ""
    pid: int | None = None
    said: str = ""

    @property
    def target(self) -> str:
        """The target that it is, without a part."""
        from ...introspection.targets.format import quote_name

        return f"pid:{self.pid}" if self.pid is not None else f"comm:{quote_name(self.name, 'comm')}"

    @property
    def where(self) -> tuple[str, str]:
        """The condition that it is in a table with pid and name."""
        return ("pid", str(self.pid)) if self.pid is not None else ("name", self.name)

    def __str__(self) -> str:
        if self.pid is not None:
            return f"process {self.pid}"
        return f"process {self.name}" + (f" (for {self.said!r})" if self.said != self.name else "")


class Reading:
    """The tokens of one question and the names of the guest.

    Attributes:
        tokens: in their order.
        question: all of it, as it was asked.
        items: what there is to account for: concepts, and kinds of tokens that are no concepts; a name that may be a process is ``owner``;
            what is negated has ``not`` before it.
    """

    def __init__(self, tokens: Sequence[Token], names: Names, question: str = "") -> None:
        self.tokens, self.names, self.question = tuple(tokens), names, question
        self.items = frozenset(map(_item, tokens))

    def has(self, *items: str) -> bool:
        """Whether one of `items` is there."""
        return any(item in self.items for item in items)

    def within(self, needs: Iterable[str], may: Iterable[str] = ()) -> bool:
        """Whether all of `needs` are there, and nothing but them and `may`."""
        needed = set(needs)
        return needed <= self.items and self.items <= needed | set(may)

    def without(self, token: Token) -> Reading:
        """The question without one of its tokens."""
        return Reading([each for each in self.tokens if each is not token], self.names, self.question)

    @property
    def asks_whether(self) -> bool:
        """Whether yes or no is an answer: ``is there``, ``are there any``."""
        return self._first_word in ("is", "are", "does", "do", "any", "has", "have", "was", "were", "did")

    @property
    def absent(self) -> str:
        """The one word, which nothing in the guest is called, of which it is asked whether it is there: is nginx running; empty for none."""
        words = self.texts("unknown")
        is_name = len(words) == 1 and re.fullmatch(r"\w[\w.+-]+", words[0]) and words[0].lower() not in COMMON_WORDS
        return words[0] if is_name and self.is_wish("is", "has") else ""

    def is_wish(self, *verbs: str) -> bool:
        """Whether it begins with one of `verbs`: something is to be done."""
        return self._first_word in verbs

    def _says(self, pattern: str) -> bool:
        return re.search(pattern, self.question.lower()) is not None

    @cached_property
    def _first_word(self) -> str:
        return next(iter(self.question.lower().split()), "").strip("'\",.!?")

    @property
    def asks_which(self) -> bool:
        """Whether it asks what something is."""
        return any(
            word in ("what", "which", "what's", "who", "who's", "whose") for word in self.question.lower().split()
        )

    @property
    def asks_meaning(self) -> bool:
        """Whether it is asked what a word means: ``what is a page table``, ``what are zombies``."""
        is_plural = len(self.tokens) == 1 and self.tokens[0].is_plural
        if is_plural and re.match(r"\W*what are \w+( \w+)?\W*$", self.question.lower()):
            return True
        return (
            re.match(
                r"\W*(what|whats|what's)( is| are|'s)? an? |\W*(define|definition of)\b|.*\bwhat do(es)? .* mean\W*$",
                self.question.lower(),
            )
            is not None
        )

    @property
    def asks_state(self) -> bool:
        """Whether it is asked if something is so: ``is it paused``, and not whether it may be done."""
        return (
            re.match(r"\W*(is|was|are|were)\b(?!.*\b(possible|way|ok|okay|allowed)\b)", self.question.lower())
            is not None
        )

    @property
    def asks_what_it_does(self) -> bool:
        """Whether it is asked what something does: ``what does crond do``."""
        return self._says(r"\bwhat (does|do|did|is|are)\b.*\bdo(ing)?\b")

    @property
    def is_about_now(self) -> bool:
        """Whether this moment is spoken of."""
        return self._says(r"\b(now|currently|at the moment|presently|this moment|just now|today)\b")

    @property
    def asks_one(self) -> bool:
        """Whether one is wanted of several: ``which of the modules is the largest``."""
        return self._says(r"\bwhich (one )?of\b|\bwhich one\b|\bone\W*$|\b(is|'s) the (most|\w+est)\b")

    @cached_property
    def back(self) -> str:
        """The words that stand for something that is not in the question: ``its``, ``that process``; empty if there are none."""
        possessive = re.search(r"\b(its|theirs?|his|hers?)\b", self.question.lower())
        if possessive and not self.has(*_ANTECEDENTS):
            return possessive[0]
        pronoun = re.search(r"\bof (those|these|them)\b", self.question.lower())
        if pronoun and any(
            self.is_plural(thing) for thing in (*_ANTECEDENTS, "open_file", "mount", "page", "port", "viewer")
        ):
            return ""
        return "" if self.has(*_NAMED, "quoted", "target_text", "not owner", "not name") else refers_back(self.question)

    def asks_of_another(self, request: Request) -> bool:
        """Whether it is asked who has what somebody else has, and `request` is what that one has: who opened the file that nc writes."""
        if "processes" in request.words:
            return False
        is_relative = self._says(
            r"^\W*(who|which (process|program|task|daemon)(es|s)?|what (process|program)(es|s)?)\b.+\b(that|which|whom)\b"
        )
        whose = {str(each.pid) for owner in self.owners for each in self.pids(owner)}
        return (
            is_relative
            and any(
                condition.column in ("pid", "pids") and condition.operator == "=" and condition.value in whose
                for condition in request.shape.where
            )
            and not self.has("pid")
        )

    @property
    def asks_contents(self) -> bool:
        """Whether it is asked what is in something."""
        return self._says(r"\bwhat('?s| is| are)? in(side)?\b")

    @property
    def asks_users(self) -> bool:
        """Whether it is asked what needs something: ``used by``."""
        return self._says(
            r"\bused by\b|\b(modules|drivers) (that )?(use|using|need|needing|require|depend)\b|\b(who|what|which \w+|any(body|one|thing)|some(body|one|thing)|else) (uses?|needs?|is using)\b|\bdepend|\bneeded by\b"
        )

    @property
    def asks_owner(self) -> bool:
        """Whether it is asked who has something."""
        return self._says(r"\b(owns?|owner|whose|belongs?)\b")

    @property
    def asks_of_each(self) -> bool:
        """Whether a row each is wanted, not a sum: ``how big are they``."""
        return self._says(
            r"\b(each|per|they|their|every|sizes)\b|\bwhich\b(?!.*\b(most|biggest|largest)\b).*\bhow (much|many)\b"
        )

    def is_plural(self, concept: str) -> bool:
        """Whether a concept's word is a plural."""
        return any(token.is_plural for token in self.tokens if token.concept == concept)

    def number(self, kind: str) -> int | None:
        """The number of the first token of a kind."""
        return next((token.number for token in self.tokens if token.kind == kind), None)

    def texts(self, kind: str) -> list[str]:
        """What the tokens of a kind say."""
        return [token.text for token in self.tokens if token.kind == kind]

    @cached_property
    def owners(self) -> list[Owner]:
        """The processes that are named; a name that several processes may have is not among them (`unclear`)."""
        found: list[Owner] = []
        for token in self.tokens:
            if token.kind == "pid":
                found.append(Owner(pid=token.number))
            elif token.kind == "name":
                matched = _process_names(token)
                if len(matched) == 1:
                    found.append(Owner(matched[0], said=token.text))
        return list(dict.fromkeys(found))

    @cached_property
    def unclear(self) -> list[tuple[Token, tuple[str, ...]]]:
        """Names that may mean several processes."""
        return [(token, names) for token in self.tokens if len(names := _process_names(token)) > 1]

    def pids(self, owner: Owner) -> list[KnownProcess]:
        """The processes that `owner` may be."""
        return [
            each for each in self.names.processes if each.pid == owner.pid or (owner.name and each.name == owner.name)
        ]

    def named(self, kind: str) -> list[str]:
        """The only names of a kind that the question's names may mean."""
        return [
            match.names[0]
            for token in self.tokens
            if token.kind == "name"
            for match in token.matches
            if match.kind == kind and len(match.names) == 1
        ]

    @property
    def symbols(self) -> list[str]:
        """Words that may be symbols or types: unknown ones, and names of other things."""
        return [token.text for token in self.tokens if token.kind in ("unknown", "name", "pattern")]


def _item(token: Token) -> str:
    return f"not {_plain_item(token)}" if token.is_negated else _plain_item(token)


def _plain_item(token: Token) -> str:
    if token.kind == "concept":
        return "size" if token.concept == "resident" else token.concept
    if token.kind == "target":
        return "target_text"
    if token.kind != "name":
        return "owner" if token.kind in _OWNER_KINDS else token.kind
    return "owner" if token.matches and token.matches[0].kind == "process" else "name"


def _process_names(token: Token) -> tuple[str, ...]:
    return next((match.names for match in token.matches if match.kind == "process"), ())
