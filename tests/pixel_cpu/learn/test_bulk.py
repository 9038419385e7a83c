"""Loops inside of a loop that copy or fill are found, and nothing else is taken for one."""

from __future__ import annotations

import pytest
from x86_loops import machine_loop

from pixel_cpu.frontends.x86 import lift
from pixel_cpu.ir.model import walk
from pixel_cpu.learn.bulk import find_bulk

END = ("41ffc8",)
"""dec r8d; the jump back follows."""


def bulks(*codes: str, df: int | None = 0):
    """What is found in the loops inside of a loop around these instructions."""
    length = sum(len(code) // 2 for code in (*codes, *END)) + 2
    loop = machine_loop(*codes, *END, f"75{256 - length:02x}")
    function = lift(loop, assumed={} if df is None else {"df": df}).module.functions["loop"]
    loops = [op for op in walk(function.body) if op.name == "loop"]
    constants = {op.result: int(op.literal) for op in walk(function.body) if op.name == "const"}
    assert len(loops) == 2
    return [found for op in loops if (found := find_bulk(op, function.parameters[0], constants))]


@pytest.mark.parametrize(("code", "width"), [("f3a4", 1), ("f366a5", 2), ("f3a5", 4), ("f348a5", 8)])
def test_string_moves_are_copies(code, width):
    (found,) = bulks("89d1", code)
    assert (found.count.name, found.target.name, found.source.name, found.bytes) == ("rcx", "rdi", "rsi", width)


@pytest.mark.parametrize(("code", "width"), [("f3aa", 1), ("f3ab", 4), ("f348ab", 8)])
def test_string_stores_are_fills(code, width):
    (found,) = bulks("89d1", code)
    assert (found.target.name, found.source, found.bytes) == ("rdi", None, width)


def test_a_direction_that_is_not_known_or_down_is_none():
    assert not bulks("89d1", "f3a4", df=None) and not bulks("89d1", "f3a4", df=1)


@pytest.mark.parametrize(
    "codes",
    [
        ("f3a6",),  # repe cmpsb
        ("f3ac",),  # rep lodsb
        ("e310", "8a06", "8807", "48ffc6", "4883c702", "48ffc9", "ebee"),  # a copy to every second byte
        ("e311", "8a06", "8807", "00c3", "48ffc6", "48ffc7", "48ffc9", "ebed"),  # a copy that adds up
        ("e311", "8a06", "fec0", "8807", "48ffc6", "48ffc7", "48ffc9", "ebed"),  # what it stores is another byte
    ],
)
def test_what_does_more_is_none(codes):
    assert not bulks("89d1", *codes)
