"""Programs of the primitives language, compiled and run by the reference executor."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import pytest

from pixel_cpu.backends.launch import Launch, Outcome, check
from pixel_cpu.backends.reference import Executor
from pixel_cpu.errors import SourceError
from pixel_cpu.frontends.primitives import Program, compile_source
from pixel_cpu.frontends.primitives.lexer import Source
from pixel_cpu.frontends.primitives.parser import Parser


def thread_code(code: str, *declarations: str, functions: str = "") -> str:
    """A text with one kernel `k` of these declarations and this code."""
    lines = [functions, "GPU_KERNEL k", *(f"    {line}" for line in declarations), "    GPU_THREAD_CODE:"]
    return "\n".join([*lines, textwrap.indent(textwrap.dedent(code).strip("\n"), " " * 8), "GPU_END", ""])


def errors(text: str) -> list[tuple[int, int, str]]:
    """Line, column and message of each error that the parser finds in a text."""
    parser = Parser(Source(text, "k.gpk"))
    parser.run()
    return [(error.line, error.column, error.message) for error in parser.errors]


def fails(text: str, *wanted: str) -> SourceError:
    """The error of a text that does not compile; its message has all of `wanted`."""
    with pytest.raises(SourceError) as caught:
        compile_source(text, "k.gpk")
    message = str(caught.value)
    for part in wanted:
        assert part in message, message
    return caught.value


def launch(program: Program, kernel: str, lanes: int, group: int = 32, fuel: int = 100_000, **given: Any) -> Outcome:
    """Run a kernel; arrays are buffers, numbers are scalars."""
    arrays = {name: value for name, value in given.items() if isinstance(value, np.ndarray)}
    scalars = {name: value for name, value in given.items() if name not in arrays}
    run = Launch(lanes, group, scalars, arrays, fuel=fuel)
    return Executor(program.module, kernel).run(check(program.module.kernels[kernel], run))


def run(text: str, lanes: int, kernel: str = "k", **given: Any) -> Outcome:
    """Compile a text and run one kernel, which no lane of may trap."""
    outcome = launch(compile_source(text), kernel, lanes, **given)
    outcome.raise_trap(kernel)
    return outcome
