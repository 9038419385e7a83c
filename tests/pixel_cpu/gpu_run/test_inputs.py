"""What each lane gets."""

from __future__ import annotations

import io
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixel_cpu.errors import UsageError
from pixel_cpu.gpu_run.inputs import (
    Folder,
    check_folder,
    for_lane,
    is_per_lane,
    lane_arguments,
    own_folder_pattern,
    parse_environment,
    parse_folder,
    read_arguments,
    read_input,
)


def test_a_line_is_split_as_a_shell_splits_it(tmp_path):
    file = tmp_path / "in.txt"
    file.write_text("a 'b c' \"d e\" f\\ g\n\n  # not a comment\r\nlast")
    assert read_arguments(str(file)) == [["a", "b c", "d e", "f g"], [], ["#", "not", "a", "comment"], ["last"]]


WORDS = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), max_size=4)


@given(st.lists(WORDS, min_size=1, max_size=5))
def test_words_that_are_quoted_come_back(tmp_path_factory, lines):
    file = tmp_path_factory.mktemp("lines") / "in.txt"
    file.write_text("".join(shlex.join(line) + "\n" for line in lines))
    assert read_arguments(str(file)) == lines


def test_a_file_without_lines_has_none(tmp_path):
    (tmp_path / "in.txt").touch()
    assert read_arguments(str(tmp_path / "in.txt")) == []


def test_arguments_come_from_standard_input_too(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("a b\nc\n"))
    assert read_arguments("-") == [["a", "b"], ["c"]]


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"ok\n'open\n", "line 2: no closing quotation"), (b"\xff\n", "byte 0x0 is not UTF-8"), (None, "No such file")],
)
def test_a_file_that_cannot_be_read_says_where(tmp_path, content, words):
    file = tmp_path / "in.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=words):
        read_arguments(str(file))


def test_shared_words_stand_before_those_of_the_line_and_name_the_lane():
    found = lane_arguments("p.wasm", None, [["a"], [], ["b", "c"]], ["-n", "{lane}/{id}"])
    assert found == [["p.wasm", "-n", "0/0", "a"], ["p.wasm", "-n", "1/1"], ["p.wasm", "-n", "2/2", "b", "c"]]
    assert lane_arguments("p", 3, None, ["x"]) == [["p", "x"]] * 3
    assert lane_arguments("p", None, None, []) == [["p"]]
    assert lane_arguments("p", 2, [["a"], ["b"]], []) == [["p", "a"], ["p", "b"]]


def test_a_wrong_number_of_lines_says_both_numbers():
    with pytest.raises(UsageError, match=r"in\.txt has 2 lines for 3 lanes; .* leave --lanes out"):
        lane_arguments("p", 3, [["a"], ["b"]], [], "in.txt")
    with pytest.raises(UsageError, match=r"in\.txt has no line"):
        lane_arguments("p", None, [], [], "in.txt")


def test_variables_have_a_value_or_take_that_of_the_shell():
    assert parse_environment(["A=1", "B=x=y", "C", "D="], {"C": "own"}) == {"A": "1", "B": "x=y", "C": "own", "D": ""}
    for wrong in ("=1", "C"):
        with pytest.raises(UsageError, match="--env"):
            parse_environment([wrong], {})


def test_folders_have_the_name_that_lanes_know():
    assert parse_folder("data:/") == Folder("data", "/")
    assert parse_folder("a:b:/c") == Folder("a:b", "/c")
    assert parse_folder("data") == Folder("data", "data")
    for wrong in (":/", "data:", ""):
        with pytest.raises(UsageError, match="is no folder"):
            parse_folder(wrong)


def test_a_folder_has_to_be_there(tmp_path):
    check_folder(str(tmp_path))
    with pytest.raises(UsageError, match="there is no such folder"):
        check_folder(str(tmp_path / "none"))


def test_the_folder_of_a_lane_names_the_lane():
    assert own_folder_pattern("lane-{id}/", 9) == Folder("lane-{id}/", "/out")
    assert own_folder_pattern("out:/here", 1) == Folder("out", "/here")
    with pytest.raises(UsageError, match=r"2 lanes need a folder each; write out/\{id\}"):
        own_folder_pattern("out/", 2)


def test_the_mark_of_a_lane():
    assert for_lane("{lane}-{id}-{x}", 7) == "7-7-{x}"
    assert is_per_lane("a{id}") and is_per_lane("{lane}") and not is_per_lane("lane")


def test_input_is_bytes(tmp_path):
    (tmp_path / "x").write_bytes(b"\xff\0")
    assert read_input(str(tmp_path / "x")) == b"\xff\0"
    with pytest.raises(UsageError, match="No such file"):
        read_input(str(tmp_path / "none"))
