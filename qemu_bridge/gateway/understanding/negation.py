"""What is said not to be so: ``not sleeping``, ``isn't root's``, ``without its stack``, ``neither free nor kernel``, ``everything but init``.

Of the tokens of a question those that are negated are marked, and the words that negate go. A word that nothing takes up stays, so that
nobody overlooks it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .token import Token

_LIGHT = frozenset("identify use running like open show start memory page user has all map_of doing have".split())
"""Concepts that say little between ``not`` and what it negates: not *owned by* root. Where nothing follows, one of them is negated itself."""
_COGNITION = (
    "know",
    "remember",
    "recall",
    "understand",
    "see",
    "find",
    "tell",
    "sure",
    "certain",
    "figure",
    "mind",
    "think",
    "get",
    "realise",
    "realize",
)
"""Behind a negation: it is the one who asks who does not, and nothing is negated."""
_ALL_BUT = ("all", "everything", "anything", "everyone", "anybody", "anyone", "every", "nothing", "none")


def mark_negated(tokens: Sequence[Token]) -> list[Token]:
    """`tokens` with those marked that are negated."""
    found = [_but(tokens, at) for at in range(len(tokens))]
    gone: set[int] = set()
    for at, token in enumerate(found):
        if at in gone:
            continue
        if (
            token.concept == "except"
            and at
            and found[at - 1].text.lower() in ("all", "everything")
            and found[at - 1].kind == "filler"
        ):
            found[at - 1] = replace(found[at - 1], kind="concept", concept="all")
        if token.concept == "not" and at + 1 < len(found) and found[at + 1].text.lower() in _COGNITION:
            gone.add(at)  # I don't know which
            continue
        if token.concept == "not":
            marked = _negated_by_not(found, at)
        elif token.concept == "except":
            marked = [i for i in range(at + 1, len(found)) if _is_content(found[i])]
        else:
            continue
        for i in marked:
            # Not unlike twice: none of them, except those that are not.
            found[i] = replace(found[i], is_negated=not found[i].is_negated)
        if marked:
            gone |= {at, *(i for i in range(at, max(marked)) if found[i].text.lower() in ("or", "nor"))}
    # Neither A nor B: two things.
    return [
        replace(token, concept="and") if at in gone and token.text.lower() in ("nor", "or") else token
        for at, token in enumerate(found)
        if at not in gone or token.text.lower() in ("nor", "or")
    ]


def _but(tokens: Sequence[Token], at: int) -> Token:
    """``but`` as ``except`` where it follows all, and as nothing elsewhere."""
    token = tokens[at]
    if token.text.lower() != "but" or token.kind not in ("unknown", "filler"):
        return token
    before = tokens[at - 1].text.lower().split()[-1] if at else ""
    is_except = before in _ALL_BUT or (at > 0 and tokens[at - 1].concept in ("all",))
    if is_except:
        return replace(token, kind="concept", concept="except")
    after = next((each for each in tokens[at + 1 :] if each.kind != "filler"), None)
    is_restricted = (
        not at or after is None or after.concept in ("only", "not", "except") or after.text.lower() in ("just", "first")
    )
    # Processes of root but sleeping ones: with those, or without them, is not said.
    is_unclear = (
        not is_restricted
        and any(each.is_plural for each in tokens[:at])
        and after is not None
        and after.concept not in ("show", "highlight")
    )
    return replace(token, kind="unknown") if is_unclear else replace(token, kind="filler")


def _is_content(token: Token) -> bool:
    return token.kind != "filler" and token.concept not in ("not", "and", "or", "except")


def _negated_by_not(tokens: Sequence[Token], at: int) -> list[int]:
    after = [i for i in range(at + 1, len(tokens)) if _is_content(tokens[i])]
    heavy = next((i for i in after if tokens[i].concept not in _LIGHT), None)
    if heavy is not None and not any(tokens[i].concept == "not" for i in range(at + 1, heavy)):
        return [heavy, *_coordinated(tokens, heavy)]
    if after and not any(tokens[i].concept == "not" for i in range(at + 1, after[-1])):
        return [after[-1]]
    before = next((i for i in range(at - 1, -1, -1) if _is_content(tokens[i])), None)
    # What init has and crond hasn't.
    return [before] if before is not None and not after and tokens[before].kind in ("name", "pid") else []


def _coordinated(tokens: Sequence[Token], at: int) -> list[int]:
    """Where tokens are that are negated with the one at `at`: not A or B."""
    rest = [
        i for i in range(at + 1, len(tokens)) if tokens[i].kind != "filler" or tokens[i].text.lower() in ("or", "nor")
    ]
    if len(rest) > 1 and tokens[rest[0]].text.lower() in ("or", "nor") and _is_content(tokens[rest[1]]):
        return [rest[1], *_coordinated(tokens, rest[1])]
    return []
