"""Rows of tables: chosen, sorted, counted."""

from __future__ import annotations

import pytest

from qemu_bridge.errors import UsageError
from qemu_bridge.gateway.rows import Condition, Shape, fits, parse_where, shape_rows

ROWS = (
    {"name": "a", "pages": 3, "pids": [1, 2]},
    {"name": "b", "pages": 9, "pids": []},
    {"name": "abc", "pages": 3, "pids": [2]},
)


def names(*where, **shape):
    return [row["name"] for row in shape_rows(ROWS, Shape(tuple(map(parse_where, where)), **shape))]


def test_rows_keep_their_order_without_a_wish():
    assert names() == ["a", "b", "abc"]


def test_conditions_hold_together_and_a_list_fits_by_one_of_its_items():
    assert names("pages=3", "name=a*") == ["a", "abc"]
    assert names("pids=2") == ["a", "abc"]
    assert names("pids=2", "pids=1") == ["a"]


def test_one_of_several_values_has_to_fit():
    assert names("name=a|b") == ["a", "b"] and names("name!=a|b") == ["abc"] and names("pids=1|7") == ["a"]


def test_what_is_not_so_what_is_empty_and_what_is_more_or_less():
    assert names("name!=a*") == ["b"] and names("pids!=2") == ["b"]
    assert names("pids=") == ["b"] and names("pids!=") == ["a", "abc"]
    assert (
        names("pages>3") == ["b"]
        and names("pages>=3", "pages<9") == ["a", "abc"]
        and names("pages<=0x3") == ["a", "abc"]
    )
    assert (
        names("pages<1K") == ["a", "b", "abc"]
        and names("pages>8.5") == ["b"]
        and names("pages>-1", "pages<4") == ["a", "abc"]
    )


@pytest.mark.parametrize("wrong", ["name>3", "pages>many", "pids<2"])
def test_only_numbers_have_an_order(wrong):
    with pytest.raises(UsageError, match="compares numbers"):
        names(wrong)


def test_the_greatest_come_first_and_so_many_are_taken():
    assert names(sort="pages", reverse=True, first=1) == ["b"]
    assert names(sort="pages") == ["a", "abc", "b"]
    assert names(last=2) == ["b", "abc"] and names(last=9) == ["a", "b", "abc"]


def test_an_unknown_column_is_told_with_those_that_there_are():
    with pytest.raises(UsageError, match="no column 'nosuch'; there are name, pages, pids"):
        names(sort="nosuch")
    with pytest.raises(UsageError, match="state"):
        shape_rows((), Shape((Condition("x", "1"),)), ("state", "uid:#x"))


@pytest.mark.parametrize(
    ("value", "wanted", "is_fit"),
    [(16, "0x10", True), (16, "16", True), (16, "1*", True), (True, "true", True), ("LISTEN", "listen", True), ("a.b", "a?b", True),
     ("a.b", "a", False), (None, "none", True)],
)  # fmt: skip
def test_a_value_fits_as_people_write_it(value, wanted, is_fit):
    assert fits(value, wanted) is is_fit


def test_a_condition_is_a_column_and_a_value():
    assert parse_where("local=*:80") == Condition("local", "*:80") and parse_where("a=b=c") == Condition("a", "b=c")
    assert parse_where("pages >=1M") == Condition("pages", "1M", ">=") and parse_where("name!==") == Condition(
        "name", "=", "!="
    )
    for wrong in ("local", "=x"):
        with pytest.raises(UsageError, match="COLUMN=VALUE"):
            parse_where(wrong)


def test_the_options_of_a_shape_say_all_of_it():
    shape = Shape((Condition("state", "R"),), "pages", True, 5, 2, True)
    assert shape.to_words() == (
        "--where",
        "state=R",
        "--sort",
        "pages",
        "--reverse",
        "--first",
        "5",
        "--last",
        "2",
        "--count",
    )
    assert Shape().to_words() == ()
