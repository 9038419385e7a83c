"""Makes text from a guest safe for a terminal.

>>> printable("sh\\x1b[31m")
'sh?[31m'
"""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` with control and bidirectional formatting characters replaced by question marks."""
    return "".join(character if character.isprintable() else "?" for character in text)


def printable_lines(text: str) -> str:
    """The same of each line of `text`."""
    return "\n".join(map(printable, text.split("\n")))
