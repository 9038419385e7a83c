"""Writes a target as a text that `parse` reads as the same."""

from __future__ import annotations

import re

from .grammar import HEAD, PROCESS_PARTS, SUFFIXES, WORDS, Combined, Named, Span, Target

# Names that need no quotes.
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%,=~\[\]]+(?:-[A-Za-z0-9_./:@%,=~\[\]]+)*")


def format_target(target: Target) -> str:
    """A text that `parse_target` reads as `target`."""
    match target:
        case Combined(operator, left, right):
            return f"{_operand(left, operator, False)} {operator} {_operand(right, operator, True)}"
        case Span(start, size, is_virtual, pid):
            length = "" if size is None else f"+{_format_size(size)}"
            space = "" if pid is None else f"@pid:{pid}"
            return f"{'va' if is_virtual else 'pa'}:{start:#x}{length}{space}"
        case Named("kernel", part):
            return f"kernel.{part}" if part else "kernel"
        case Named(kind, name, part):
            # A pattern was read without quotes, so it can be written without.
            written = name if target.is_pattern else quote_name(name, kind)
            return kind if kind in WORDS else f"{kind}:{written}{part and '/' + part}"
    raise AssertionError(target)


def quote_name(name: str, kind: str = "file") -> str:
    """`name` as a target of `kind` must spell it: in double quotes where needed."""
    looks_like_part = kind == "comm" and name.rpartition("/")[1:][-1] in PROCESS_PARTS and "/" in name
    hides_operator = any(HEAD.match(name, match.end()) for match in re.finditer("-", name))
    if _PLAIN.fullmatch(name) and not looks_like_part and not hides_operator and not (kind == "sym" and "-" in name):
        return name
    return '"' + "".join(map(_escape, name)) + '"'


def _operand(target: Target, operator: str, is_right: bool) -> str:
    """An operand of `operator`, in parentheses where they change the meaning."""
    text = format_target(target)
    if not isinstance(target, Combined):
        return text
    outer, inner = operator == "&", target.operator == "&"
    return f"({text})" if (outer and not inner) or (is_right and outer == inner) else text


def _format_size(size: int) -> str:
    for suffix in "TGMK":
        if size and size % (1 << SUFFIXES[suffix]) == 0:
            return f"{size >> SUFFIXES[suffix]}{suffix}"
    return str(size)


def _escape(character: str) -> str:
    if character in ('"', "\\"):
        return "\\" + character
    if character.isprintable():
        return character
    number = ord(character)
    letter, digits = ("x", 2) if number < 0x100 else ("u", 4) if number < 0x10000 else ("U", 8)
    return f"\\{letter}{number:0{digits}x}"
