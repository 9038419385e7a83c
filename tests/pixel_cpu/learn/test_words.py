"""Accesses side by side: which loops have them."""

from __future__ import annotations

import pytest
from compiled_loops import compiled_loop
from learned_loops import learned

from pixel_cpu.errors import UsageError
from pixel_cpu.learn.candidate import Frame
from pixel_cpu.learn.words import find_words


@pytest.mark.parametrize(("name", "rounds"), [("find", 8), ("length", 8), ("copy", 8), ("sum", 2)])
def test_a_word_is_so_many_rounds(name, rounds):
    loop = learned(compiled_loop(name, "-O1"))
    (found,) = find_words(Frame(loop, loop.lifted.module.functions["loop"]))
    assert found.rounds == rounds


def test_loops_that_read_elsewhere_have_none():
    loop = learned(compiled_loop("linked list", "-O1"))
    with pytest.raises(UsageError, match="side by side"):
        find_words(Frame(loop, loop.lifted.module.functions["loop"]))
