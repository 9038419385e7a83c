"""The interpreter's C: as many labels as steps, each defined once."""

import re

from pixel_cpu.backends.lane_c.interpreter import HEAD, Steps, source
from pixel_cpu.backends.lane_c.source import FOLDER
from pixel_cpu.frontends.wasm.steps import ACCESSES, REASONS, STEPS, computations


def test_each_step_has_its_code():
    text = source(Steps(STEPS, computations(), ACCESSES, REASONS))
    defined = re.findall(r"^(L_\w+):", text, re.MULTILINE)
    assert len(defined) == len(set(defined)) == len(STEPS)
    assert {each.removeprefix("&&") for each in re.findall(r"&&L_\w+", text)} == set(defined)


def test_the_head_is_that_of_c():
    text = (FOLDER / "interpreter.c").read_text()
    (fields,) = re.findall(r"typedef struct \{([^}]*)\} gb_head;", text)
    assert re.findall(r"\w+", fields.replace("int64_t", "")) == HEAD
