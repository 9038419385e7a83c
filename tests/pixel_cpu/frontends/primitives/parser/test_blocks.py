import pytest
from primitives_runs import errors, thread_code


@pytest.mark.parametrize(
    ("code", "column", "message"),
    [
        ("IF a", 5, "expected `:`, found the end of the line"),
        ("IF a:", 1, "IF has no block: indent what belongs to it, or end it with ENDIF"),
        ("ELSE:", 1, "ELSE belongs to nothing here"),
        ("ENDFOR", 1, "ENDFOR belongs to nothing here"),
        ("FOR i FROM 1..2:", 7, "expected IN, found `FROM`"),
        ("FOR i IN 1:", 11, "expected `..` and where it ends, found `:`"),
        ("GPU_SHARED a int[4]", 1, "GPU_SHARED does not stand in thread code"),
        ("FUNC f() -> int = 1", 1, "FUNC does not stand in thread code"),
        (
            "IF a: WHILE b:",
            15,
            "expected a statement: what belongs to WHILE stands on its line here, found the end of the line",
        ),
    ],
)
def test_a_faulty_block_says_what_was_expected(code, column, message):
    assert errors(thread_code(code)) == [(4, column + 8, message)]


def test_indentation_that_fits_nothing():
    assert errors(thread_code("PRINT 1\n  PRINT 2")) == [(5, 11, "this line is indented more than its block")]
    code = "IF true:\n    PRINT 1\n  PRINT 2\nPRINT 3"
    assert errors(thread_code(code)) == [(6, 11, "no block is indented so")]


def test_an_endif_belongs_to_the_nearest_if():
    code = "IF true:\nIF true:\n    PRINT 1\nENDIF\nPRINT 2\nENDIF"
    assert errors(thread_code(code)) == []
