"""Names with wildcards: ``*`` is any characters, also none, ``?`` is any one; each other character is itself.

>>> bool(re.fullmatch(wildcard_expression("*.so*"), "/lib/libc.so.6"))
True
"""

from __future__ import annotations

import re

WILDCARDS = "*?"


def has_wildcard(name: str) -> bool:
    """Whether `name` stands for all names that match it."""
    return any(sign in name for sign in WILDCARDS)


def wildcard_expression(pattern: str) -> str:
    """A regular expression for the whole of what `pattern` matches; with ``re.DOTALL`` also what has line ends.

    Matching takes time in proportion to the lengths of pattern and name, whatever they are.
    """
    first, *others = (re.escape(piece).replace(r"\?", ".") for piece in pattern.split("*"))
    if not others:
        return first
    # The nearest place of each piece will do, so it is never given up for a later one.
    return first + "".join(f"(?>.*?{piece})" for piece in others[:-1]) + ".*" + others[-1]
