import pytest
from primitives_runs import errors, thread_code

from pixel_cpu.frontends.primitives import compile_source


@pytest.mark.parametrize(
    ("code", "column", "message"),
    [
        ("LAOD x[0] -> v", 1, "LAOD begins no statement; did you mean LOAD?"),
        ("v = 1", 1, "an assignment is written CALCULATE v = expression"),
        ("LOAD x[0] v", 11, "expected `->` and a variable, found `v`"),
        ("ADD a -> r", 7, "expected 2 operands, here the second, found `->`"),
        ("ADD a b", 8, "expected `->` and a result (an expression stands in brackets here), found the end of the line"),
        ("ADD a b + 1 -> r", 9, "expected `->` and a result (an expression stands in brackets here), found `+`"),
        ("ADD a b -> r extra", 14, "expected the end of the line, found `extra`"),
        ("CALCULATE x == 1", 13, "expected `=`, found `==`"),
        ("CALCULATE int = 1", 11, "int is a word of the language, not a variable or an element"),
        ("COMPARE a + b -> c", 15, "expected a comparison with < <= > >= == !=, found `->`"),
        ("BREAK", 1, "BREAK stands in no loop"),
        ("BLOCK_REDUCE SUM v -> r", 14, "expected one of ADD, MUL, MIN, MAX, AND, OR, XOR, found `SUM`"),
        ("LOAD x[0] AS flaot -> v", 14, "there is no type flaot; did you mean float?"),
        ("CALCULATE_PIXEL 1, 2 -> p", 22, "expected 3 or 4 parts: red, green, blue, alpha, found `->`"),
        ("TRAP now", 6, 'expected a text in ", found `now`'),
        ("STORE 1 -> 2", 12, "expected an array, found `2`"),
    ],
)
def test_a_faulty_statement_says_what_was_expected(code, column, message):
    assert errors(thread_code(code)) == [(4, column + 8, message)]


def test_statements_share_a_line_and_words_any_case():
    text = thread_code("thread_id -> i; Load x[i] -> v; STORE v + 1 -> x[i];", "gpu_param x INT[]")
    assert list(compile_source(text).kernels) == ["k"]
