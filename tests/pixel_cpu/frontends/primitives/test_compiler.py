import time

import numpy as np
import pytest
from primitives_runs import launch, thread_code

from pixel_cpu.errors import SourceError
from pixel_cpu.frontends.primitives import Parameter, compile_source
from pixel_cpu.frontends.primitives.tree import HostAlloc, HostCopy, HostFree, HostLaunch, HostSync
from pixel_cpu.ir.text import read, write
from pixel_cpu.ir.types import Type

TWO = """
GPU_KERNEL fill LATENCY_CRITICAL
    GPU_PARAM x int[]
    GPU_PARAM v int
    GPU_THREADS 64
    GPU_THREAD_CODE:
        PARALLEL FOR x: STORE v -> x[0]
        THREAD_ID -> i
        IF i < length(x): STORE v -> x[i]
GPU_END
GPU_KERNEL twice
    GPU_PARAM x int[]
    GPU_THREAD_CODE:
        THREAD_ID -> i
        IF i < length(x): STORE x[i] * 2 -> x[i]
GPU_END
"""
HOST = """
GPU_ALLOC x int[n]
GPU_ALLOC y int[4 * 25]
GPU_COPY start -> x
GPU_COPY x -> y
GPU_LAUNCH fill BLOCKS blocks THREADS 64 v=-3
GPU_LAUNCH twice BLOCKS 4 THREADS 32 x=y
GPU_SYNC
GPU_COPY y -> result
GPU_FREE x
"""


def fails(text, *wanted):
    with pytest.raises(SourceError) as caught:
        compile_source(text, "k.gpk")
    for part in wanted:
        assert part in str(caught.value), str(caught.value)
    return caught.value


def test_kernels_with_what_the_text_says_about_them():
    program = compile_source(TWO)
    assert list(program.kernels) == list(program.module.kernels) == ["fill", "twice"]
    fill = program.kernels["fill"]
    assert (fill.is_latency_critical, program.kernels["twice"].is_latency_critical) == (True, False)
    assert fill.parameters == (Parameter("x", Type.I32, True, True), Parameter("v", Type.I32, False, False))
    assert [kernel.group for kernel in program.module.kernels.values()] == [64, 32]
    x = np.zeros(40, np.int32)
    launch(program, "fill", 64, x=x, v=21).raise_trap("fill")
    launch(program, "twice", 64, x=x).raise_trap("twice")
    assert (x == 42).all()


def test_the_module_has_a_text_form_that_reads_back():
    module = compile_source(TWO).module
    assert write(read(write(module))) == write(module)
    assert module.source == TWO


def test_the_hosts_statements_are_records_in_order():
    assert [type(each) for each in compile_source(TWO + HOST).host] == [
        *(HostAlloc, HostAlloc, HostCopy, HostCopy, HostLaunch, HostLaunch, HostSync, HostCopy, HostFree)
    ]
    host = compile_source(TWO + HOST).host
    assert host[0] == HostAlloc("x", Type.I32, "n", 18) and host[1].length == 100
    assert [each.direction for each in host if isinstance(each, HostCopy)] == ["to_device", "on_device", "to_host"]
    assert host[4] == HostLaunch("fill", "blocks", 64, {"x": "x", "v": -3}, 22)
    assert host[5].arguments == {"x": "y"}


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("GPU_LAUNCH fil BLOCKS 1 THREADS 1", "there is no kernel fil; did you mean fill?"),
        ("GPU_LAUNCH fill BLOCKS 1 THREADS 2000", "1 to 1024 threads"),
        ("GPU_LAUNCH fill BLOCKS 1 THREADS 32", "x is an array, and x is not allocated"),
        ("GPU_ALLOC x float[4]\nGPU_LAUNCH twice BLOCKS 1 THREADS 32", "x holds i32, and x f32"),
        ("GPU_ALLOC x int[4]\nGPU_LAUNCH fill BLOCKS 1 THREADS 32 v=1.5", "v is i32, which 1.5 is not"),
        ("GPU_ALLOC x int[4]\nGPU_LAUNCH fill BLOCKS 1 THREADS 32 w=1", "fill has no parameter w"),
        ("GPU_LAUNCH fill BLOCKS 1 THREADS 32 v=1 v=2", "v is given twice"),
        ("GPU_LAUNCH fill BLOCKS -1 THREADS 32", "0 to 2147483647, not -1"),
        ("GPU_FREE x", "x is not allocated"),
        ("GPU_ALLOC x int[4]\nGPU_ALLOC x int[4]", "allocated already"),
        ("GPU_COPY a -> b", "neither a nor b is allocated"),
        ("GPU_ALLOC x int[4]\nGPU_ALLOC y char[4]\nGPU_COPY x -> y", "different types"),
        ("GPU_ALLOC x int[99999999999999999999]", "the number of elements is 0 to"),
        ("GPU_LAUNCH fill BLOCKS 2147483647 THREADS 1024", "a launch has at most"),
    ],
)
def test_faults_of_the_host(host, message):
    fails(TWO + host + "\n", message, "k.gpk:1")


def test_at_most_twenty_errors():
    error = fails(thread_code("\n".join(f"CALCULATE a{k} = unknown{k}" for k in range(100))))
    assert len(error.others) == 19
    error = fails(thread_code("LAOD\n" * 100))
    assert len(error.others) == 19 and [each.line for each in error.others] == list(range(5, 24))


# What is large or malicious ends with an error that has a place, soon.


def nested(word, depth):
    return "\n".join("    " * level + word for level in range(depth)) + "\n" + "    " * depth + "PRINT 1"


LARGE = {
    "blocks": thread_code(nested("IF true:", 500)),
    "loops": thread_code(nested("WHILE true:", 100)),
    "inline blocks": thread_code("IF true: " * 200 + "PRINT 1"),
    "else if": thread_code("CALCULATE a = 1\nIF a == 0: PRINT 0\n" + "ELIF a == 1: PRINT 1\n" * 1000),
    "brackets": thread_code("CALCULATE a = " + "(" * 900 + "1" + ")" * 900),
    "signs": thread_code("CALCULATE a = " + "-" * 1900 + "1"),
    "nots": thread_code("CALCULATE a = " + "not " * 400 + "true"),
    "indexes": thread_code("CALCULATE a = " + "x[" * 600 + "0" + "]" * 600, "GPU_PARAM x int[]"),
    "powers": thread_code("CALCULATE a = " + "2**" * 600 + "2"),
    "calls": thread_code("CALCULATE a = " + "abs(" * 300 + "1" + ")" * 300),
    "digits": thread_code("CALCULATE a = " + "9" * 1900),
    "exponent": thread_code("CALCULATE a = 1e999999"),
    "array": thread_code("RETURN", "GPU_SHARED a int[" + "99999 * " * 200 + "9]"),
    "name": thread_code(f"CALCULATE {'a' * 1000} = 1"),
    "line": thread_code(f"CALCULATE a = 1 {' ' * 100_000}"),
    "one line of 10 MB": "x" * 10_000_000,
    "10 MB of lines": thread_code("ADD a b -> c\n" * 800_000),
    "10 MB of newlines": "\n" * 10_000_000 + "x",
    "statements": thread_code("PRINT 1\n" * 50_000),
    "brackets open": "(" * 2000,
    "nothing": "x",
    "no end": "GPU_KERNEL k\nGPU_THREAD_CODE:\n",
    "injected name": thread_code("CALCULATE a; DROP TABLE = 1"),
    "injected code": thread_code('CALCULATE __import__("os").system("true") = 1'),
    "injected kernel": "GPU_KERNEL k(){}//\nGPU_END",
    "controls": thread_code("CALCULATE \x1b[2J = 1"),
    "surrogate": thread_code("CALCULATE \ud800 = 1"),
    "right to left": thread_code("CALCULATE a\u202e = 1"),
    "NaN index": thread_code("PRINT x[nan]", "GPU_PARAM x int[]"),
    "infinite index": thread_code("PRINT x[inf]", "GPU_PARAM x int[]"),
    "recursion": "".join(f"FUNC f{k}(a int) -> int = f{(k + 1) % 900}(a)\n" for k in range(900)),
}


@pytest.mark.parametrize("text", LARGE.values(), ids=LARGE.keys())
def test_what_is_too_large_or_malicious_is_an_error_with_a_place(text):
    start = time.process_time()
    error = fails(text)
    assert error.line >= 1 and error.column >= 1 and len(str(error)) < 20_000
    assert time.process_time() - start < 20


FINE = {
    "a long sum": thread_code("CALCULATE a = 1" + " + 1" * 450),
    "a long chain of ands": thread_code(
        "THREAD_ID -> i\nCALCULATE a = i == 0" + " and x[i] == 0" * 100, "GPU_PARAM x int[]"
    ),
    "deep blocks": thread_code(nested("IF true:", 48)),
    "deep loops and a barrier": thread_code(nested("FOR k{} IN 0..1:", 47).replace("PRINT 1", "SYNC_THREADS")),
    "many else ifs": thread_code("THREAD_ID -> a\nIF a == 0: PRINT 0\n" + "ELIF a == 1: PRINT 1\n" * 46),
    "many variables and branches": thread_code(
        "\n".join(f"CALCULATE a{k} = {k}" for k in range(1000))
        + "\n"
        + "\n".join(f"IF a{k} > 1: ADD a{k} 1 -> a{k}" for k in range(1000))
    ),
    "a text that orders the terminal": thread_code(r'PRINT "$(rm -rf /) `x` %s {0} */ \\ \" ?>"'),
    "names of other languages": thread_code(
        "\n".join(
            f"CALCULATE {word} = 1"
            for word in ("while", "return_", "var", "fn", "int_", "struct", "lambda", "__import__")
        )
    ),
}


@pytest.mark.parametrize("text", FINE.values(), ids=FINE.keys())
def test_what_is_long_but_inside_the_limits_compiles_and_runs(text):
    for level in range(48):
        text = text.replace("k{}", f"k{level}", 1)
    start = time.process_time()
    program = compile_source(text)
    arrays = {memory.name: np.zeros(4, np.int32) for memory in program.module.kernels["k"].buffers}
    launch(program, "k", 4, **arrays)
    assert time.process_time() - start < 20
