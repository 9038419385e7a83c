"""What a candidate gains: it is run over the same inputs, and must give the same."""

from __future__ import annotations

import pytest
from compiled_loops import compiled_loop
from learned_loops import learned

from pixel_cpu.ir.model import Module
from pixel_cpu.ir.text import read, write
from pixel_cpu.ir.verifier import verify
from pixel_cpu.learn.gain import measure_gain


def test_a_program_that_gives_something_else_is_an_error():
    loop = learned(compiled_loop("sum", "-O1"))
    text = write(Module({}, {"loop": loop.lifted.module.functions["loop"]}))
    assert measure_gain(loop, verify(read(text)), b"", {}) > 0.3
    place = text.index("= add", text.index("load @memory"))
    wrong = verify(read(text[:place] + "= sub" + text[place + 5 :]))
    with pytest.raises(RuntimeError, match="the candidate gives"):
        measure_gain(loop, wrong, b"", {})
