"""Makes text from a guest safe for a terminal.

>>> printable("sh\\x1b[31m")
'sh?[31m'
"""

from __future__ import annotations

import json


def printable(text: str) -> str:
    """`text` with control and bidirectional formatting characters replaced by question marks."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "?" for character in text)


def printable_json(text: str) -> str:
    """The JSON `text` with the same characters in its strings as escape sequences: another text of the same value."""
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(
        character if character.isprintable() or character == "\n" else json.dumps(character)[1:-1] for character in text
    )


def printable_lines(text: str) -> str:
    """The same of each line of `text`."""
    return "\n".join(map(printable, text.split("\n")))
