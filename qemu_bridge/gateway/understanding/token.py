"""A token: a word of a question, or several that mean one thing."""

from __future__ import annotations

from dataclasses import dataclass

from .names import Match


@dataclass(frozen=True, slots=True)
class Token:
    """One word, or several that mean one thing.

    Attributes:
        kind: concept, name, number, address, quoted, path, target, pattern, filler or unknown; for a number that belongs to a word before
            or after it pid, uid, port_number, epoch_number, seconds, limit or length; and quantity for one that is compared with.
        text: as it was written; of a quoted one what is in the quotes.
        concept: of a word of the vocabulary.
        number: of a number; of one with a unit of size in bytes.
        operator: of a quantity, how what is asked for compares with it: ``>``.
        has_unit: whether a number was written with a unit of size.
        matches: what a name may mean.
        is_plural: whether a concept's word is a plural.
        is_owner: whether a word has a possessive ending.
        is_negated: whether it is said not to be so.
    """

    kind: str
    text: str
    concept: str = ""
    number: int = 0
    operator: str = ""
    has_unit: bool = False
    matches: tuple[Match, ...] = ()
    is_plural: bool = False
    is_owner: bool = False
    is_negated: bool = False
