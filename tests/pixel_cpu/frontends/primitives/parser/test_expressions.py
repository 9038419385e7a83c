import pytest
from primitives_runs import errors, thread_code

from pixel_cpu.errors import SourceError
from pixel_cpu.frontends.primitives import compile_source


@pytest.mark.parametrize(
    ("code", "column", "message"),
    [
        ("LOAD x -> v", 8, "expected `[` and an index, found `->`"),
        ("CALCULATE x = ", 14, "expected a value, found the end of the line"),
        ("CALCULATE x = (1 + 2", 21, "expected `)`, found the end of the line"),
        ("CALCULATE x = 1 < 2 < 3", 21, "comparisons do not chain; join two with and"),
        ("CALCULATE x = 'ab'", 15, "\"'\" is no part of the language; a character is one letter between '"),
    ],
)
def test_a_faulty_expression_says_what_was_expected(code, column, message):
    assert errors(thread_code(code)) == [(4, column + 8, message)]


def test_a_bracket_beside_a_space_is_an_operand_of_its_own():
    compile_source(
        thread_code("CALCULATE a = 1\nADD a (a + 1) -> b\nADD abs(a) -a -> c\nSUB a -1 -> d\nCALCULATE e = abs (a)")
    )
    with pytest.raises(SourceError, match="there is no function a"):
        compile_source(thread_code("CALCULATE a = 1\nADD a(1) 2 -> b"))
