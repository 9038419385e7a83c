"""Understands a question: the one meaning that accounts for all of its words, or why there is none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ...wire.operations import Permission
from .accounting import left_over
from .marks import ONLY_ACCOUNTED
from .names import Names
from .reading import Reading
from .request import Meaning, Request, Unsure, to_session
from .shell import to_words
from .token import Token
from .tokens import read_tokens
from .topics import TOPICS, TOPICS_WITH_NEGATION
from .vocabulary import REFUSED

MOST_LETTERS = 400
_MEANS_SOMETHING_WITH = {
    "since": {
        "change",
        "compare",
        "capture",
        "epoch",
        "epoch_number",
        "path",
        "last",
        "seconds",
        "second",
        "address",
        "trace",
    },
    "read": {"address", "quoted", "unknown", "length", "path", "log", "console", "find", "where", "number"},
}
"""Words that say nothing unless one of these is there: warnings *from* the kernel, *contents* of the page cache."""
_MEANS_NOTHING_WITH = {
    "take": {"size", "most", "least"},  # how much it takes
    "translate": {"address"},  # the physical address 0x1000
    "struct": {"address"},
    "by_class": {"address", "frame_number"},  # what kind of page is at
    "table": {"mount", "socket", "module", "slab", "open_file", "thread", "log", "file", "map"},
    "like": {"address", "frame_number"},  # what page frame 5 contains
}
"""Words that say nothing if one of these is there."""
_LOOKING = ("show", "dump", "read", "identify", "translate", "about")
"""Verbs that say no more than that something is wanted, where with them nothing is understood."""
_LIGHT = (*_LOOKING, "take", "use", "running", "loaded", "set")
"""Words that say little beside others, where with them nothing is understood."""
_LOOKED_FOR = ("quoted", "unknown", "pattern")
_MOST_ALTERNATIVES = 4
_MANY = ("a lot of", "lots of", "plenty of")
_JOINED = re.compile(
    r"\b(top|last|first|pid|port|epoch|page|pfn|frame|cpu|uid|fd|user|process|thread)[-_#]?(\d+)\b", re.IGNORECASE
)
"""A word and its number that were written as one: top5, pid97."""
_TWO_WORDS = re.compile(r"\b(web|file|mail) server\b", re.IGNORECASE)
_REASON = re.compile(
    r"[\s,]+(?:because|cause|cuz|so that|in order to|in case)\s.*$"
    r"|[\s,]+(?:before|so|until)\s+(?:i|we)\s+(?:can|could|know|may|go|break|do|change|start|leave|try|touch|run)\b.*$",
    re.IGNORECASE,
)
"""Why something is asked, behind what is asked: because I wonder, before I break it."""

EXAMPLES = (
    "what processes are running?",
    "which process uses the most memory?",
    "highlight the kernel stack",
    "show me crond's page tables",
    "how much memory does init use?",
    "which file uses the most memory?",
    "who is listening on port 80?",
    "open files of syslogd",
    "what is at 0x32a7100?",
    "address of init_task",
    "memory shared by init and crond",
    "the last 20 kernel messages",
    "what changed since the last checkpoint?",
    'find "root:x" in memory',
    "colour memory by entropy",
)
"""Questions that show what can be asked."""


def understand(text: str, names: Names, machine: str = "") -> Meaning:
    """What `text` asks of a guest with these `names`, called `machine`; `Unsure`, with what may have been meant, where that is not certain.

    Each word has to be accounted for: by a topic, as the name of something in the guest, or as one that says nothing.
    """
    if len(text) > MOST_LETTERS:
        return Unsure(f"a question of {len(text)} letters is too long; ask in {MOST_LETTERS}")
    text = _TWO_WORDS.sub(lambda found: found[0].replace(" ", ""), text)
    text = _JOINED.sub(r"\1 \2", to_words(text) or _REASON.sub(" ", text))
    tokens = [token for token in read_tokens(text, names) if token.text != machine or not machine]
    if not tokens:
        return Unsure("nothing in that names something to look at")
    if any(token.concept == "briefly" for token in tokens):
        # To stop for a moment is to pause.
        tokens = [
            replace(token, concept="pause") if token.concept in ("stop", "shutdown") else token for token in tokens
        ]
    said = tokens
    tokens = [token for token in tokens if token.concept not in ONLY_ACCOUNTED] or tokens
    if not any(token.kind in _LOOKED_FOR or token.concept in ("symbol", "root", "read") for token in tokens):
        # To find what has a name is to show it.
        tokens = [token for token in tokens if token.concept != "find"] or tokens
    concepts = {token.concept or token.kind for token in tokens}
    for concept, needs in _MEANS_SOMETHING_WITH.items():
        if not concepts & needs:
            tokens = [token for token in tokens if token.concept != concept] or tokens
    for concept, beside in _MEANS_NOTHING_WITH.items():
        if beside & {
            token.concept or token.kind for token in tokens if token.kind != "concept" or token.concept != "address"
        }:
            tokens = [token for token in tokens if token.concept != concept] or tokens
    if any(token.kind in ("name", "pid") for token in tokens):
        # What one process eats is how much it uses.
        tokens = [
            replace(token, concept="use") if token.concept == "hog" and " " not in token.text else token
            for token in tokens
        ]
    if any(token.kind == "target" for token in tokens):
        # As the verb of the command line: resolve pid:1/heap.
        tokens = [replace(token, concept="where") if token.text.lower() == "resolve" else token for token in tokens]
    if any(token.concept in ("go", "highlight") and not token.is_negated for token in tokens) and not any(
        token.concept == "clear" for token in tokens
    ):
        # The slab called dentry is slab dentry.
        named = {at for at, token in enumerate(tokens) if token.kind == "name"}
        tokens = [token for at, token in enumerate(tokens) if token.concept != "like" or at + 1 not in named]
        # To make it stand out.
        tokens = [token for token in tokens if token.concept != "take"]
    is_named = any(token.kind in ("name", "pid") for token in tokens)
    if any(token.text.lower() in _MANY for token in tokens) and (
        is_named or not any(token.concept == "process" for token in tokens)
    ):
        # Whether something has a lot of them is answered by those that it has.
        tokens = [token for token in tokens if token.text.lower() not in _MANY]
    session = next((token.number for token in tokens if token.kind == "session"), None)
    if session is not None:
        tokens = [token for token in tokens if token.kind != "session" and token.concept != "viewer"]
    reading = Reading(tokens, names, text)
    found = _meanings(reading) or _without(reading, _LOOKING) or _without(reading, _LIGHT)
    requests = _distinct(meaning for meaning in found if isinstance(meaning, Request))
    if session is not None:
        requests = tuple(
            to_session(request, session) for request in requests if request.operation in ("highlight", "fly_to")
        )
    left = {request.meaning: left_over(said, request, names) for request in requests}
    whole = tuple(request for request in requests if not left[request.meaning])
    if requests and not whole:
        return Unsure(_passed_over(min(left.values(), key=len)), requests[:_MOST_ALTERNATIVES])
    requests = whole
    if requests and reading.lacks_whose:
        return Unsure("whose is not said", requests[:_MOST_ALTERNATIVES])
    if requests and reading.asks_meaning and not _is_about_one(reading):
        return Unsure("words are explained in docs/concepts.md, not here", requests[:_MOST_ALTERNATIVES])
    if len(requests) == 1 and requests[0].permission is not Permission.READ and reading.asks_state:
        return Unsure("whether something is so is no wish to change it", requests)
    if len(requests) == 1:
        return requests[0]
    if requests:
        return Unsure("that may mean several things", requests[:_MOST_ALTERNATIVES])
    nearest = _nearest(reading)
    for token in tokens:
        if token.concept.startswith("no_"):
            _, reason, question = REFUSED[token.concept.removeprefix("no_")]
            other = understand(question, names) if question else nearest
            more = (other,) if isinstance(other, Request) else other.alternatives
            return Unsure(reason, _distinct([*nearest.alternatives[: _MOST_ALTERNATIVES - 1], *more]))
    unsure = [meaning for meaning in found if isinstance(meaning, Unsure)]
    return unsure[0] if unsure else nearest


def _passed_over(tokens: Sequence[Token]) -> str:
    words = ", ".join(repr(token.text) for token in tokens[:3])
    return f"{words} would be passed over"


def _is_about_one(reading: Reading) -> bool:
    """Whether something of the guest is named, so that no word's meaning is asked for."""
    return reading.has("owner", "name", "path", "address", "pid", "unknown", "quantity", "number")


def _meanings(reading: Reading) -> list[Meaning]:
    has_negated = any(token.is_negated for token in reading.tokens)
    topics = TOPICS_WITH_NEGATION if has_negated else TOPICS
    return [meaning for topic in topics if (meaning := topic(reading)) is not None]


def _without(reading: Reading, concepts: tuple[str, ...]) -> list[Meaning]:
    """What is meant if words that may say little say nothing."""
    first = reading.tokens[0] if reading.tokens else None
    wish = first if first is not None and first.concept == "take" and reading.is_wish(first.text.lower()) else None
    hexdump = next(
        (
            token
            for token in reading.tokens
            if token.concept == "read" and token.text.lower().startswith(("hex", "xxd", "hd", "od"))
        ),
        None,
    )
    rest = [
        token
        for token in reading.tokens
        if token.concept not in concepts or token.is_negated or token in (wish, hexdump)
    ]
    if not rest or len(rest) == len(reading.tokens):
        return []
    found = _meanings(Reading(rest, reading.names, reading.question))
    return [meaning for meaning in found if isinstance(meaning, Unsure) or meaning.permission is Permission.READ]


def _distinct(requests: Iterable[Request]) -> tuple[Request, ...]:
    found: dict[tuple[str, ...], Request] = {}
    for request in requests:
        found.setdefault(request.meaning, request)
    return tuple(found.values())


def _nearest(reading: Reading) -> Unsure:
    """Why nothing fits, and what would if one word, or those that nobody knows, were not there."""
    unknown = [token for token in reading.tokens if token.kind == "unknown"]
    known = Reading([token for token in reading.tokens if token.kind != "unknown"], reading.names, reading.question)
    smaller = [known] if unknown and known.tokens else []
    smaller += [known.without(token) for token in known.tokens if len(known.tokens) > 1]
    alternatives: list[Request] = []
    for each in smaller:
        for meaning in _meanings(each):
            alternatives += meaning.alternatives if isinstance(meaning, Unsure) else (meaning,)
    if unknown:
        words = ", ".join(repr(token.text) for token in unknown[:3])
        reason = (
            f"{words} {'is' if len(unknown) == 1 else 'are'} not understood, and nothing in this guest is called so"
        )
    else:
        reason = "these words together are not understood"
    return Unsure(reason, _distinct(alternatives)[:_MOST_ALTERNATIVES])
