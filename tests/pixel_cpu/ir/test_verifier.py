"""Rules that hold for a whole module: recursion, what callers declare, sizes with calls."""

from __future__ import annotations

import time

import pytest

from pixel_cpu.errors import IrError
from pixel_cpu.ir.builder import Builder
from pixel_cpu.ir.limits import MAX_DEPTH, MAX_OPERATIONS
from pixel_cpu.ir.model import Kernel, Module, Region
from pixel_cpu.ir.text import read
from pixel_cpu.ir.verifier import verify


def test_functions_do_not_call_themselves():
    with pytest.raises(IrError, match=r"recursion: (a -> b -> a|b -> a -> b)"):
        verify(read("function a() {\ncall @b\nreturn\n}\nfunction b() {\ncall @a\nreturn\n}"))


def test_a_caller_declares_what_its_functions_use():
    with pytest.raises(IrError, match="kernel k: memory: calls f, which uses @x"):
        verify(read("function f() {\nbuffer @x: u32\nreturn\n}\nkernel k() group 1 {\ncall @f\nreturn\n}"))


# What would cost too much


def doubling(count: int) -> str:
    first = "function f0() {\nreturn\n}\n"
    return first + "".join(
        f"function f{number} () {{\ncall @f{number - 1}\ncall @f{number - 1}\nreturn\n}}\n"
        for number in range(1, count)
    )


def test_calls_that_double_are_refused_before_they_run_for_ever():
    verify(read(doubling(15)))
    with pytest.raises(IrError, match=f"size: more than {MAX_OPERATIONS} operations"):
        verify(read(doubling(60)))


def chain(count: int) -> str:
    functions = "".join(f"function f{number} () {{\ncall @f{number + 1}\nreturn\n}}\n" for number in range(count - 1))
    return f"{functions}function f{count - 1}() {{\nreturn\n}}\nkernel k() group 1 {{\ncall @f0\nreturn\n}}"


def test_calls_nest_to_the_limit_and_no_deeper():
    from pixel_cpu.backends.launch import Launch
    from pixel_cpu.backends.reference import Executor

    module = verify(read(chain(MAX_DEPTH - 1)))
    assert Executor(module, "k").run(Launch(2, 1)).counters.instructions == 2 * (2 * MAX_DEPTH - 1)
    for count in (MAX_DEPTH, 5000):
        with pytest.raises(IrError, match="size: more than 200 regions inside each other, through calls"):
            verify(read(chain(count)))


def test_regions_nest_to_the_limit_and_run():
    from pixel_cpu.backends.launch import Launch
    from pixel_cpu.backends.reference import Executor

    body = Region()
    build = Builder(body)
    for level in range(MAX_DEPTH - 1):
        inner = Region()
        build.branch("block", [], [inner], label=f"l{level}")
        build.end("yield" if level else "return")
        build = Builder(inner)
    build.end("yield")
    assert Executor(verify(Module({"k": Kernel("k", (), (), body, 8)})), "k").run(Launch(2, 1)).trap is None


def test_many_kernels_that_call_many_functions_are_checked_in_time():
    count = 300
    text = "".join(f"function f{number}() {{\nreturn\n}}\n" for number in range(count))
    calls = "".join(f"call @f{number}\n" for number in range(count))
    text += "".join(f"kernel k{number}() group 1 {{\n{calls}barrier\nreturn\n}}\n" for number in range(100))
    start = time.process_time()
    verify(read(text))
    assert time.process_time() - start < 20
