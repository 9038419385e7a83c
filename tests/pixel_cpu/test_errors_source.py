from pixel_cpu.errors import SourceError


def test_the_caret_stands_below_the_column():
    error = SourceError("no", line=3, column=5, text="\tADD x", file="a.gpk")
    assert str(error) == "a.gpk:3:5: no\n  \tADD x\n  \t   ^"


def test_of_a_long_line_the_part_around_the_column_is_shown():
    error = SourceError("no", line=1, column=5001, text="a" * 5000 + "b" + "a" * 5000)
    _, shown, caret = str(error).splitlines()
    assert len(shown) < 120 and shown[caret.index("^")] == "b"


def test_a_text_cannot_command_the_terminal():
    error = SourceError("the word \x1b[2J", line=1, column=6, text="ab\x1b]0;x\x07 \x00")
    assert "\x1b" not in str(error) and "\x07" not in str(error) and "\x00" not in str(error)


def test_further_errors_follow():
    other = SourceError("two", line=2, column=1)
    error = SourceError("one", line=1, column=1, others=[other])
    assert str(error) == "line 1:1: one\nline 2:1: two" and error.others == (other,)
