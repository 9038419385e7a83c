"""Ranges: what is asked is given, and nothing else is."""

import pytest

from qemu_bridge.gateway.ranges import parse_range

SIZE = 100


@pytest.mark.parametrize(
    ("text", "first", "past"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, 100),
        ("bytes=10-19", 10, 20),
        ("bytes=99-", 99, 100),
        ("bytes=90-1000", 90, 100),
        ("bytes=-1", 99, 100),
        ("bytes=-1000", 0, 100),
        ("BYTES = 1 - 2", 1, 3),
        ("bytes=0-9999999999999999999", 0, 100),
    ],
)
def test_a_range_is_cut_at_the_end(text, first, past):
    assert parse_range(text, SIZE) == (first, past)


@pytest.mark.parametrize(
    "text",
    [
        "bytes=100-",
        "bytes=100-200",
        "bytes=5-4",
        "bytes=-0",
        "bytes=-",
        "bytes=",
        "bytes",
        "",
        "items=0-1",
        "bytes=a-b",
        "bytes=0x0-0x9",
        "bytes=--1",
        "bytes=-1-2",
        "bytes=+1-2",
        "bytes=0-1,3-4",
        "bytes=0-,0-,0-",
        "bytes=٠-١",
        "bytes=99999999999999999999-",
        "bytes=0-" + "9" * 10000,
        "bytes=" + ",".join(["0-"] * 1000),
    ],
)
def test_a_range_that_lies_gets_nothing(text):
    assert parse_range(text, SIZE) is None


def test_of_nothing_there_is_no_range():
    assert parse_range("bytes=0-", 0) is None and parse_range("bytes=-1", 0) is None
