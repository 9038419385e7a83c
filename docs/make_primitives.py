"""Write the tables of docs/primitives.md and the editor's syntax file from the words of the language.

python docs/make_primitives.py docs/primitives.md docs/editors/gpk.tmLanguage.json
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from pixel_cpu.frontends.primitives.words import CONSTANTS, FUNCTIONS, MINOR_WORDS, STATEMENTS, TYPES


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [" | ".join(heads), " | ".join("---" for _ in heads)]
    lines += [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def tables() -> dict[str, str]:
    """The generated parts, by the names of their marks."""
    return {
        "words": table(("word", "meaning"), [(f"`{word.form}`", word.meaning) for word in STATEMENTS.values()]),
        "functions": table(
            ("function", "meaning"),
            [(f"`{row.name}({', '.join('abcd'[: row.arity])})`", row.meaning) for row in FUNCTIONS.values()],
        ),
        "types": table(
            ("type", "of the IR", "bytes"),
            [(f"`{name}`", f"`{kind.value}`", str(kind.bytes)) for name, kind in TYPES.items()],
        ),
    }


def document(text: str) -> str:
    """The text of docs/primitives.md with its tables renewed."""
    for name, made in tables().items():
        mark = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- end -->)", re.DOTALL)
        text = mark.sub(lambda found, made=made: found[1] + made + found[2], text)  # type: ignore[misc]
    return text


def _words(names: list[str]) -> str:
    return "|".join(sorted(names, key=lambda name: (-len(name), name)))


def grammar() -> dict[str, object]:
    """A TextMate grammar: what each piece of a line is."""
    blocks = [
        "IF",
        "ELIF",
        "ELSE",
        "ENDIF",
        "WHILE",
        "ENDWHILE",
        "FOR",
        "ENDFOR",
        "PARALLEL",
        "BREAK",
        "CONTINUE",
        "RETURN",
    ]
    words = [name for name in STATEMENTS if name not in blocks]
    minor = [name for name in dict.fromkeys((*MINOR_WORDS, "TRAP", "CLAMP")) if name not in ("AND", "OR", "NOT")]
    patterns = [
        ("comment.line.number-sign.gpk", r"#.*$"),
        ("string.quoted.double.gpk", r'"(?:[^"\\]|\\.)*"'),
        ("constant.character.gpk", r"'(?:[^'\\]|\\.)'"),
        ("keyword.control.gpk", rf"\b(?i:{_words(blocks)})\b"),
        ("keyword.other.gpk", rf"\b(?:{_words(words)})\b"),
        ("keyword.operator.word.gpk", rf"\b(?:{_words(minor)})\b"),
        ("keyword.operator.logical.gpk", r"\b(?i:and|or|not)\b"),
        ("support.function.gpk", rf"\b(?:{_words(list(FUNCTIONS))}|bits_(?:{_words(list(TYPES))}))(?=\()"),
        ("storage.type.gpk", rf"\b(?:{_words(list(TYPES))})\b"),
        ("constant.language.gpk", rf"\b(?:{_words(list(CONSTANTS))})\b"),
        (
            "constant.numeric.gpk",
            r"\b(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|[0-9][0-9_]*(?:\.[0-9][0-9_]*)?(?:[eE][-+]?[0-9]+)?)\b",
        ),
        ("keyword.operator.gpk", r"->|→|\.\.|\*\*|<<|>>|<=|>=|==|!=|[-+*/%&|^~<>=]"),
        ("variable.other.gpk", r"\b[A-Za-z_][A-Za-z0-9_]*\b"),
        ("punctuation.gpk", r"[()\[\],:;]"),
    ]
    return {
        "$schema": "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json",
        "name": "Glass Box primitives",
        "scopeName": "source.gpk",
        "fileTypes": ["gpk"],
        "patterns": [{"name": name, "match": match} for name, match in patterns],
    }


def grammar_text() -> str:
    """The grammar as the file holds it."""
    return json.dumps(grammar(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    page, syntax = map(Path, sys.argv[1:])
    page.write_text(document(page.read_text(encoding="utf-8")), encoding="utf-8")
    syntax.write_text(grammar_text(), encoding="utf-8")
