import pytest

from pixel_cpu.errors import SourceError
from pixel_cpu.frontends.primitives.lexer import MAX_CHARACTERS, MAX_LINE, Source, read_line, unquote


def tokens(text):
    line = read_line(Source(text), 1)
    return [(token.kind, token.text) for token in line.tokens[:-1]]


def test_a_line_is_tokens_and_a_comment():
    line = read_line(Source("  LOAD x[0x1F..2] → v  # why"), 1)
    assert (line.indent, line.comment) == (2, "# why")
    assert [token.text for token in line.tokens] == ["LOAD", "x", "[", "0x1F", "..", "2", "]", "→", "v", ""]
    assert [token.column for token in line.tokens][:3] == [3, 8, 9]


def test_numbers_ranges_and_arrows():
    assert tokens("0..10") == [("int", "0"), ("op", ".."), ("int", "10")]
    assert tokens("1.5e-3 1e9 0b1_0") == [("float", "1.5e-3"), ("float", "1e9"), ("int", "0b1_0")]
    assert tokens("a->b-1") == [("name", "a"), ("op", "->"), ("name", "b"), ("op", "-"), ("int", "1")]


def test_a_tab_goes_to_the_next_multiple_of_four():
    assert [read_line(Source(text), 1).indent for text in ("\tA", "  \tA", "    \tA")] == [4, 4, 8]


def test_empty_lines_and_comments_are_none():
    assert read_line(Source("   "), 1) is None and read_line(Source("  # x"), 1) is None


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("a ? b", 3, "select"),
        ("a é", 3, "no part of the language"),
        ('PRINT "abc', 7, 'ends with "'),
        ("a = .5", 5, "digits on both sides"),
        ("x\0", 2, "no part of the language"),
        ("0x", 1, "0x is no number"),
        ("12ab", 1, "12a is no number"),
        ("0b12", 1, "0b12 is no number"),
        ("0x_1", 1, "0x is no number"),
        ("1" * 41, 1, "at most 40"),
        ("a" * 65, 1, "at most 64"),
        ("a " * MAX_LINE, MAX_LINE + 1, "at most 2000 characters"),
    ],
)
def test_faults_have_their_column(text, column, message):
    with pytest.raises(SourceError, match=message) as caught:
        read_line(Source(text), 1)
    assert (caught.value.line, caught.value.column) == (1, column)


def test_a_text_that_is_too_long_says_where():
    text = "A" * 99 + "\n"
    with pytest.raises(SourceError) as caught:
        Source(text * (MAX_CHARACTERS // 100 + 1)).check_size()
    assert (caught.value.line, caught.value.column) == (MAX_CHARACTERS // 100 + 1, MAX_CHARACTERS % 100 + 1)


def test_texts_know_a_few_escapes():
    source = Source(r'"a\n\"\\"')
    assert unquote(source, read_line(source, 1).tokens[0]) == 'a\n"\\'
    source = Source(r'  "a\q"')
    with pytest.raises(SourceError) as caught:
        unquote(source, read_line(source, 1).tokens[0])
    assert caught.value.column == 5


def test_lines_end_with_a_newline_of_either_kind_and_nothing_else():
    assert Source("a\r\nb\x0cc\u2028d\ne").lines == ["a", "b\x0cc\u2028d", "e"]
