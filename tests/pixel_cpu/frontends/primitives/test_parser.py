import pytest
from primitives_runs import thread_code

from pixel_cpu.errors import SourceError
from pixel_cpu.frontends.primitives import compile_source
from pixel_cpu.frontends.primitives.lexer import Source
from pixel_cpu.frontends.primitives.parser import Parser


def errors(text):
    parser = Parser(Source(text, "k.gpk"))
    parser.run()
    return [(error.line, error.column, error.message) for error in parser.errors]


@pytest.mark.parametrize(
    ("code", "column", "message"),
    [
        ("LAOD x[0] -> v", 1, "LAOD begins no statement; did you mean LOAD?"),
        ("v = 1", 1, "an assignment is written CALCULATE v = expression"),
        ("LOAD x[0] v", 11, "expected `->` and a variable, found `v`"),
        ("LOAD x -> v", 8, "expected `[` and an index, found `->`"),
        ("ADD a -> r", 7, "expected 2 operands, here the second, found `->`"),
        ("ADD a b", 8, "expected `->` and a result (an expression stands in brackets here), found the end of the line"),
        ("ADD a b + 1 -> r", 9, "expected `->` and a result (an expression stands in brackets here), found `+`"),
        ("ADD a b -> r extra", 14, "expected the end of the line, found `extra`"),
        ("CALCULATE x == 1", 13, "expected `=`, found `==`"),
        ("CALCULATE x = ", 14, "expected a value, found the end of the line"),
        ("CALCULATE x = (1 + 2", 21, "expected `)`, found the end of the line"),
        ("CALCULATE x = 1 < 2 < 3", 21, "comparisons do not chain; join two with and"),
        ("CALCULATE int = 1", 11, "int is a word of the language, not a variable or an element"),
        ("COMPARE a + b -> c", 15, "expected a comparison with < <= > >= == !=, found `->`"),
        ("IF a", 5, "expected `:`, found the end of the line"),
        ("IF a:", 1, "IF has no block: indent what belongs to it, or end it with ENDIF"),
        ("ELSE:", 1, "ELSE belongs to nothing here"),
        ("ENDFOR", 1, "ENDFOR belongs to nothing here"),
        ("FOR i FROM 1..2:", 7, "expected IN, found `FROM`"),
        ("FOR i IN 1:", 11, "expected `..` and where it ends, found `:`"),
        ("BREAK", 1, "BREAK stands in no loop"),
        ("GPU_SHARED a int[4]", 1, "GPU_SHARED does not stand in thread code"),
        ("FUNC f() -> int = 1", 1, "FUNC does not stand in thread code"),
        ("BLOCK_REDUCE SUM v -> r", 14, "expected one of ADD, MUL, MIN, MAX, AND, OR, XOR, found `SUM`"),
        ("LOAD x[0] AS flaot -> v", 14, "there is no type flaot; did you mean float?"),
        ("CALCULATE_PIXEL 1, 2 -> p", 22, "expected 3 or 4 parts: red, green, blue, alpha, found `->`"),
        (
            "IF a: WHILE b:",
            15,
            "expected a statement: what belongs to WHILE stands on its line here, found the end of the line",
        ),
        ("TRAP now", 6, 'expected a text in ", found `now`'),
        ("STORE 1 -> 2", 12, "expected an array, found `2`"),
        ("CALCULATE x = 'ab'", 15, "\"'\" is no part of the language; a character is one letter between '"),
    ],
)
def test_a_fault_says_what_was_expected(code, column, message):
    assert errors(thread_code(code)) == [(4, column + 8, message)]


def test_declarations_have_their_faults():
    text = """
GPU_KERNEL k LATENCY
GPU_PARAM a
GPU_THREAD_CODE:
GPU_END
GPU_KERNEL
GPU_KERNEL m
    GPU_PARAM a inte
    GPU_PARAM b int[5]
    GPU_PARAM c int
    GPU_PARAM c int
    GPU_SHARED d int
    GPU_SHARED e int[c]
    GPU_SHARED f int[0]
    GPU_BOUNDS maybe
    GPU_THREADS 2000
    LOAD a[0] -> v
GPU_END
ADD a b -> c
GPU_END
"""
    found = errors(text)
    assert [(line, column) for line, column, _ in found] == [
        *(
            (2, 14),
            (6, 11),
            (8, 17),
            (9, 21),
            (11, 15),
            (12, 21),
            (13, 22),
            (14, 22),
            (15, 16),
            (16, 17),
            (17, 5),
            (18, 1),
        )
    ], found


def test_after_an_error_the_next_lines_are_read():
    code = """
        IF a ? 1:
            THIS is not looked at
        ELSE:
            NOR this
        LOAD x -> a
        WHILE (a < 1:
        SKIPPED 1
        ENDWHILE
        FOR i IN 1..2:
            ADD 1 2
    """
    found = errors(thread_code(code, "GPU_PARAM x int[]"))
    assert [line for line, _, _ in found] == [5, 9, 10, 11, 14]


def test_indentation_that_fits_nothing():
    assert errors(thread_code("PRINT 1\n  PRINT 2")) == [(5, 11, "this line is indented more than its block")]
    code = "IF true:\n    PRINT 1\n  PRINT 2\nPRINT 3"
    assert errors(thread_code(code)) == [(6, 11, "no block is indented so")]


def test_a_kernel_needs_an_end_and_code():
    assert errors("GPU_KERNEL k\nGPU_THREAD_CODE:\n    PRINT 1\n") == [
        (1, 1, "kernel k is not ended: GPU_END is missing")
    ]
    assert errors("GPU_KERNEL k\nGPU_END\n") == [(2, 1, "kernel k has no GPU_THREAD_CODE:")]


def test_an_endif_belongs_to_the_nearest_if():
    code = "IF true:\nIF true:\n    PRINT 1\nENDIF\nPRINT 2\nENDIF"
    assert errors(thread_code(code)) == []


def test_statements_share_a_line_and_words_any_case():
    text = thread_code("thread_id -> i; Load x[i] -> v; STORE v + 1 -> x[i];", "gpu_param x INT[]")
    assert list(compile_source(text).kernels) == ["k"]


def test_a_bracket_beside_a_space_is_an_operand_of_its_own():
    compile_source(
        thread_code("CALCULATE a = 1\nADD a (a + 1) -> b\nADD abs(a) -a -> c\nSUB a -1 -> d\nCALCULATE e = abs (a)")
    )
    with pytest.raises(SourceError, match="there is no function a"):
        compile_source(thread_code("CALCULATE a = 1\nADD a(1) 2 -> b"))


def test_windows_line_ends_and_a_mark_of_the_byte_order():
    compile_source("\ufeff" + thread_code("PRINT 1").replace("\n", "\r\n"))
