"""Understands a question: the one meaning that accounts for all of its words, or why there is none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ...wire.operations import Permission
from .accounting import left_over
from .clauses import are_questions, join_list, split_clauses
from .marks import ONLY_ACCOUNTED
from .meanings import MOST_ALTERNATIVES, by_account, distinct, meanings, nearest_to, without
from .names import Names
from .parameters import to_question
from .phrasing import plain, without_camera
from .reading import Reading
from .request import Meaning, Request, Unsure, to_session
from .shell import to_words
from .token import Token
from .tokens import read_tokens
from .vocabulary import REFUSED
from .words import corrections

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
_STANDS_ALONE = "a question stands alone, earlier ones are not remembered: say what {0!r} stands for"
_MANY = ("a lot of", "lots of", "plenty of")
_JOINED = re.compile(
    r"\b(top|last|first|pid|port|epoch|page|pfn|frame|cpu|uid|fd|user|process|thread)[-_#]?(\d+)\b", re.IGNORECASE
)
"""A word and its number that were written as one: top5, pid97."""
_TWO_WORDS = re.compile(r"\b(web|file|mail) server\b", re.IGNORECASE)
_REASON = re.compile(
    r"[\s,]+(?:because|cause|cuz)\s.*$|[\s,]+(?:so that|in order to|in case)\s(?!.*\b(?:colou?rs?|modes?|shows?|highlight\w*|sort\w*|order\w*|first|only)\b).*$"
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

    Each word has to be accounted for: by a topic, as the name of something in the guest, or as one that says nothing. A text is one question, and
    stands alone: of several questions none is answered, and what an earlier one was about is not known.
    """
    if len(text) > MOST_LETTERS:
        return Unsure(f"a question of {len(text)} letters is too long; ask in {MOST_LETTERS}")
    meaning = _understand_clause(text, names, machine)
    clauses = split_clauses(_REASON.sub(" ", text))
    if len(clauses) > 1:
        parts = [part for each in clauses if isinstance(part := _understand_clause(each, names, machine), Request)]
        several = distinct(parts)
        whole = meaning.meaning if isinstance(meaning, Request) else ()
        is_part = bool(parts and whole) and are_questions(clauses) and whole != parts[0].meaning
        if (len(several) > 1 and len(parts) == len(clauses)) or is_part:
            return Unsure("that is several questions; ask one at a time", several[:MOST_ALTERNATIVES])
    return meaning


def _understand_clause(text: str, names: Names, machine: str) -> Meaning:
    """What one question asks, with what was taken for a slip of the pen."""
    moved = without_camera(text)
    if moved is not None:
        return _still(_understand_clause(moved, names, machine))
    text = plain(_TWO_WORDS.sub(lambda found: found[0].replace(" ", ""), text), names)
    text = _JOINED.sub(r"\1 \2", to_words(text) or to_question(join_list(_REASON.sub(" ", text))))
    meaning = _understand_words(text, names, machine)
    said = meaning.says if isinstance(meaning, Request) else ""
    told = ", ".join(
        f"{meant!r} for {written!r}" for written, meant in corrections(text, names) if f"for {written!r}" not in said
    )
    if not told:
        return meaning
    if isinstance(meaning, Unsure):
        return replace(meaning, reason=f"{meaning.reason} (read {told})")
    return replace(meaning, says=f"{meaning.says} (read {told})")


def _still(meaning: Meaning) -> Meaning:
    """The highlight that `meaning` is, with the camera where it is; else that is asked about."""
    if isinstance(meaning, Unsure):
        return meaning
    if meaning.operation != "highlight":
        return Unsure("that moves no camera, or nothing else", (meaning,))
    return replace(
        meaning,
        says=f"{meaning.says}: the camera stays",
        words=(*meaning.words, "--no-fly"),
        arguments={**meaning.arguments, "fly": False},
    )


def _understand_words(text: str, names: Names, machine: str) -> Meaning:
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
    found = meanings(reading) or without(reading, _LOOKING) or without(reading, _LIGHT) or by_account(reading, said)
    requests = distinct(meaning for meaning in found if isinstance(meaning, Request))
    if session is not None:
        requests = tuple(
            to_session(request, session) for request in requests if request.operation in ("highlight", "fly_to")
        )
    left = {request.meaning: left_over(said, request, names) for request in requests}
    whole = tuple(request for request in requests if not left[request.meaning])
    if requests and not whole:
        return Unsure(_passed_over(min(left.values(), key=len)), requests[:MOST_ALTERNATIVES])
    requests = whole
    if requests and (back := reading.back):
        return Unsure(_STANDS_ALONE.format(back), requests[:MOST_ALTERNATIVES])
    if requests and reading.asks_meaning and not _is_about_one(reading):
        return Unsure("words are explained in docs/concepts.md, not here", requests[:MOST_ALTERNATIVES])
    if len(requests) == 1 and requests[0].permission is not Permission.READ and reading.asks_state:
        return Unsure("whether something is so is no wish to change it", requests)
    if len(requests) == 1 and reading.asks_of_another(requests[0]):
        return Unsure("that takes the answer of another question; ask that other one first", requests)
    if len(requests) == 1:
        return requests[0]
    if requests:
        return Unsure("that may mean several things", requests[:MOST_ALTERNATIVES])
    nearest = nearest_to(reading)
    for token in tokens:
        if token.concept.startswith("no_"):
            _, reason, question = REFUSED[token.concept.removeprefix("no_")]
            other = understand(question, names) if question else nearest
            more = (other,) if isinstance(other, Request) else other.alternatives
            return Unsure(reason, distinct([*nearest.alternatives[: MOST_ALTERNATIVES - 1], *more]))
    if reading.back:
        return Unsure(_STANDS_ALONE.format(reading.back), nearest.alternatives)
    unsure = [meaning for meaning in found if isinstance(meaning, Unsure)]
    return unsure[0] if unsure else nearest


def _passed_over(tokens: Sequence[Token]) -> str:
    words = ", ".join(repr(token.text) for token in tokens[:3])
    return f"{words} would be passed over"


def _is_about_one(reading: Reading) -> bool:
    """Whether something of the guest is named, so that no word's meaning is asked for."""
    return reading.has("owner", "name", "path", "address", "pid", "unknown", "quantity", "number")
