"""Texts with random faults: no crash, no hang, every error with a place."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from pixel_cpu.errors import SourceError
from pixel_cpu.frontends.primitives import compile_source, format_source
from pixel_cpu.frontends.primitives.words import FUNCTIONS, MINOR_WORDS, STATEMENTS, TYPES

KERNELS = Path(__file__).resolve().parents[4] / "pixel_cpu" / "kernels"
TEXTS = [path.read_text() for path in sorted(KERNELS.glob("*.gpk"))]
PIECES = [
    *STATEMENTS,
    *MINOR_WORDS,
    *TYPES,
    *FUNCTIONS,
    *(
        "->",
        "→",
        "(",
        ")",
        "[",
        "]",
        ":",
        "..",
        ",",
        "=",
        "==",
        "<",
        "-",
        "~",
        "not",
        "and",
        "**",
        "<<",
        ";",
        "#",
        '"',
        "'",
        "\\",
    ),
    *(
        "0",
        "1",
        "1.5",
        "0x",
        "9" * 30,
        "1e400",
        "nan",
        "\t",
        "\n",
        "    ",
        "\r",
        "\0",
        "\x1b[2J",
        "é",
        "\ud800",
        "\u202e",
        "{",
        "?",
        "'a'",
        '"b"',
    ),
]


def mutate(text: str, dice: random.Random) -> str:
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(text) + 1)
        match dice.randrange(7):
            case 0:
                text = text[:at] + dice.choice(PIECES) + text[at:]
            case 1:
                text = text[:at] + text[at + dice.randint(1, 12) :]
            case 2:
                text = text[:at] + chr(dice.choice((dice.randrange(128), dice.randrange(0x110000)))) + text[at + 1 :]
            case 3:
                lines = text.split("\n")
                lines.insert(dice.randrange(len(lines) + 1), lines.pop(dice.randrange(len(lines))))
                text = "\n".join(lines)
            case 4:
                lines = text.split("\n")
                row = dice.randrange(len(lines))
                lines[row] = " " * dice.randrange(20) + lines[row].lstrip()
                text = "\n".join(lines)
            case 5:
                words = text.split(" ")
                words[dice.randrange(len(words))] = dice.choice(PIECES)
                text = " ".join(words)
            case _:
                end = at + dice.randrange(200)
                text = text[:at] + text[at:end] * dice.randint(2, 3) + text[end:]
    return text


def check(text: str) -> None:
    """Compile and format a text; whatever it holds, the answer is a program or errors with places."""
    lines = text.replace("\r\n", "\n").split("\n")
    start = time.process_time()
    for use in (compile_source, format_source):
        try:
            found = use(text, "a.gpk")
        except SourceError as error:
            for each in (error, *error.others):
                assert 1 <= each.line <= len(lines), (each, text)
                assert 1 <= each.column <= len(lines[each.line - 1]) + 2, (each, text)
                assert str(each).startswith(f"a.gpk:{each.line}:{each.column}: ")
            continue
        if use is format_source:
            assert isinstance(found, str) and format_source(found) == found, text
    assert time.process_time() - start < 30


def fuzz(count: int, seed: int, texts: list[str]) -> None:
    dice = random.Random(seed)
    for _ in range(count):
        check(mutate(dice.choice(texts), dice))


def test_mutated_texts():
    fuzz(1_000, 1, sorted(TEXTS, key=len)[:8])


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(10))
def test_many_mutated_texts(seed):
    fuzz(10_000, 100 + seed, TEXTS)


def test_random_pieces():
    dice = random.Random(5)
    for _ in range(200):
        body = "\n".join(" ".join(dice.choices(PIECES, k=dice.randrange(8))) for _ in range(10))
        check(f"GPU_KERNEL k\nGPU_PARAM x int[]\nGPU_THREAD_CODE:\n{body}\nGPU_END\n")
