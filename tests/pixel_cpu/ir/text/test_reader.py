"""Errors with their places, and texts broken at random."""

from __future__ import annotations

import random
import time

import pytest
from programs import Options, random_case

from pixel_cpu.errors import IrError, SourceError
from pixel_cpu.ir.limits import MAX_DEPTH
from pixel_cpu.ir.text import read, write
from pixel_cpu.ir.verifier import verify


def test_a_kernel_may_be_called_like_a_number():
    assert list(read("kernel inf() group 1 {\n return\n}").kernels) == ["inf"]


HEAD = "kernel k(%a: u32) group 4 {\n  buffer @x: u32\n"
BROKEN = [
    ("kernel", 1, 7, "expected name, found 'the end'"),
    ("kernal k() {}", 1, 1, "expected kernel or function, found 'kernal'"),
    ("kernel k() group 1 {\n return\n}\nfunction k() {\n return\n}", 4, 10, "'k' is defined twice"),
    (HEAD + "  %b = ad %a, %a : u32\n", 3, 8, "'ad' is no operation"),
    (HEAD + "  %b = add %a, %c : u32\n", 3, 16, "%c is not defined here"),
    (HEAD + "  %a = add %a, %a : u32\n", 3, 3, "%a is defined twice"),
    (HEAD + "  %b = add %a, %a : u31\n", 3, 21, "'u31' is no type; types are bool, i8"),
    (HEAD + "  %b = add %a, %a\n  return\n}", 4, 3, "add: 1 results and 0 types"),
    (HEAD + "  %b = add 5, %a : u32\n", 3, 12, "add: 1 results and 0 types"),
    (HEAD + "  %b = load @y %a trap : u32\n", 3, 13, "@y is not declared"),
    (HEAD + "  %b = load @x %a : u32\n", 3, 19, "expected name, found ':'"),
    (HEAD + "  %b = load @x %a cramp : u32\n", 3, 19, "expected trap, clamp or proved"),
    (HEAD + "  %b = const 0x1.8p+1 : u32\n", 3, 14, "const: 0x1.8p+1 is no literal of u32"),
    (HEAD + "  %b = const nan:0 : f32\n", 3, 14, "const: nan:0 is no literal of f32"),
    (HEAD + "  break\n", 4, 1, "expected label"),
    (HEAD + '  trap "\\q"\n', 3, 8, "JSON's escapes"),
    (HEAD + '  trap "open\n', 3, 8, "'\"' begins no word"),
    (HEAD + "  loop ^l (%i: u32 = %a, %i: u32 = %a) {\n", 3, 26, "%i is defined twice"),
    (HEAD + "  loop ^l (%a: u32 = %a) {\n", 3, 12, "%a is defined twice"),
    (HEAD + "  loop ^l (%i: u32 = %q) {\n", 3, 22, "%q is not defined here"),
    (HEAD + "  if %a {\n yield\n }\n return\n}", 6, 2, "expected else"),
    (HEAD + "  buffer @x: u32\n", 3, 10, "@x is defined twice"),
    (HEAD + "\t# no\n", 3, 2, "'#' begins no word of the IR"),
    (HEAD + "  return !99999999999999999999999\n", 3, 11, "expected an integer"),
    (HEAD + "  return\n", 4, 1, "found 'the end'"),
]


@pytest.mark.parametrize(("text", "line", "column", "message"), BROKEN, ids=[case[3] for case in BROKEN])
def test_errors_name_the_place(text, line, column, message):
    with pytest.raises(SourceError) as caught:
        read(text)
    error = caught.value
    assert message in error.message
    assert (error.line, error.column) == (line, column)
    if error.text:
        assert str(error).splitlines()[-1].expandtabs(8).index("^") == len(
            ("  " + error.text[: column - 1]).expandtabs(8)
        )


def deep(count: int) -> str:
    return (
        "kernel k() group 1 {\n%c = const true : bool\n"
        + "if %c {\n" * count
        + "yield\n} else {\nyield\n}\n" * count
        + "return\n}"
    )


def test_regions_nest_to_the_limit_and_no_deeper():
    module = verify(read(deep(MAX_DEPTH - 1)))
    assert write(read(write(module))) == write(module)
    with pytest.raises(SourceError, match="more than 200 regions"):
        read(deep(MAX_DEPTH))
    with pytest.raises(SourceError, match="more than 200 regions"):
        read(deep(5_000))


@pytest.mark.long
def test_a_hundred_thousand_operations_are_read_in_time():
    lines = "\n".join(f"%v{place} = add %a, %a : u32" for place in range(100_000))
    start = time.process_time()
    module = verify(read(f"kernel k(%a: u32) group 1 {{\n{lines}\nreturn\n}}"))
    assert len(write(module)) > 2_000_000
    assert time.process_time() - start < 30


PIECES = (
    "{ } ( ) [ ] : , = ! -> %a %0 @x ^L1 -1 0 99999999999999999999 0x1p+99999 nan:7fc00000 inf true if else loop block switch case default "
    "break continue fuel return yield trap load store const add u8 i64 f32 bool kernel function buffer private workgroup read group "
    'clamp proved \n ; " \\ \t é \0'
).split(" ")


def mutated(text: str, own: random.Random) -> str:
    for _ in range(own.randint(1, 4)):
        start = own.randrange(len(text) + 1)
        stop = min(len(text), start + own.choice((0, 1, 3, 10, 60)))
        way = own.random()
        piece = own.choice(PIECES) if way < 0.6 else text[stop : stop + own.randint(1, 80)] if way < 0.8 else ""
        text = text[:start] + piece + text[stop:]
    return text


def try_mutated(count: int, seed: int) -> None:
    own = random.Random(seed)
    small = Options(statements=10, functions=False)
    texts = sorted((write(random_case(number, small).module) for number in range(40)), key=len)[:20]
    refused = 0
    for _ in range(count):
        text = mutated(own.choice(texts), own)
        start = time.process_time()
        try:
            module = read(text)
        except SourceError as error:
            refused += 1
            assert 1 <= error.line <= text.count("\n") + 1
            assert error.column >= 1
        else:
            try:
                verify(module)
            except IrError as error:
                assert ": " in str(error)
            else:
                again = write(module)
                assert write(read(again)) == again
        assert time.process_time() - start < 5
    assert refused > count // 4


def test_texts_broken_at_random_are_refused_with_their_place():
    try_mutated(2000, 1)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_many_texts_broken_at_random_are_refused_with_their_place():
    try_mutated(100_000, 2)
