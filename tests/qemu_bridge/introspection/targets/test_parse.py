"""Parsing targets and places: what is read, and an error says at which column."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qemu_bridge.errors import UsageError
from qemu_bridge.introspection.targets import (
    parse_place,
    parse_target,
)
from qemu_bridge.introspection.targets.format import format_target
from qemu_bridge.introspection.targets.grammar import MAX_DEPTH, MAX_LENGTH, Span, SymbolPlace


@settings(max_examples=500)
@given(st.text(st.sampled_from("pid:1/heapkrnl.tx+-&() '\"\\@0xK~é\n*?") | st.characters(), max_size=40))
def test_any_text_is_a_target_or_an_error_of_one_line_with_a_column(text):
    try:
        target = parse_target(text)
    except UsageError as error:
        assert "\n" not in str(error)
        column = int(re.search(r" at column (\d+), ", str(error))[1])
        assert 1 <= column <= len(text) + 1
    else:
        assert parse_target(format_target(target)) == target


@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        ("pid:1+pid:2&pid:3", "pid:1 + (pid:2 & pid:3)"),
        ("pid:1-pid:2+pid:3", "(pid:1 - pid:2) + pid:3"),
        ("pid:1-pid:2&pid:3-pid:4", "(pid:1 - (pid:2 & pid:3)) - pid:4"),
        ("pa:4096+8K", "pa:0x1000+0x2000"),
        ("pa:0x1000 + 8K+pid:1", "(pa:4096+8192) + pid:1"),
        ("\tall\n-free ", "all - free"),
        ("comm:httpd/stack", "comm:'httpd'/stack"),
        ("comm:kworker/0:1", 'comm:"kworker/0:1"'),
        ("file:/usr/lib/libstdc++.so.6", 'file:"/usr/lib/libstdc++.so.6"'),
        ("file:/a-b-free", "file:'/a-b-free'"),
        ("file:/a-b -free", "file:'/a-b' - free"),
        ("slab:kmalloc-64+slab:dentry", "slab:'kmalloc-64' + slab:'dentry'"),
        ("class:page-table-pid:1", "class:'page-table' - pid:1"),
        ("(file:/x)", "file:'/x'"),
        (r"file:'\'\\\x41\u00e9\n'", 'file:"\'\\\\Aé\\n"'),
        ("va:0x7f0000000000+2M@pid:80", "va:139637976727552+2097152@pid:80"),
    ],
)
def test_two_ways_to_write_the_same(text, same_as):
    assert parse_target(text) == parse_target(same_as)


@pytest.mark.parametrize(
    ("text", "column", "hint"),
    [
        ("", 1, "pid:1"),
        ("pid:1 +", 8, "pid:1"),
        ("pid:1 + kid:2", 9, "did you mean pid:"),
        ("pid:x", 5, "glassbox ps"),
        ("pid:1/stak", 7, "did you mean stack"),
        ("comm:'a'/stak", 10, "did you mean stack"),
        ("kernel.txt", 8, "did you mean text"),
        ("kernel.", 8, "the parts are text"),
        ("kernels", 1, "did you mean kernel"),
        ("class:pagetable", 7, "did you mean page-table"),
        ("class:xyz", 7, "the classes are"),
        ("all - class:proc?ss", 13, "did you mean process-text"),
        ("file:", 6, "quotes"),
        ("file:''", 6, "between the quotes"),
        ("all + file:'abc", 12, "close it with '"),
        (r"file:'\u12'", 7, "HH"),
        ("(pid:1 + (pid:2)", 17, "column 1 is open"),
        ("pid:1)", 6, "+, & or -"),
        ("pid:1 pid:2", 7, "+, & or -"),
        ("pa:0x12g", 4, "0x1f000"),
        ("pa:0x1ffffffffffffffff", 4, "0x1f000"),
        ("pa:0+0", 6, "8K"),
        ("pa:0+8X", 6, "8K"),
        ("pa:0xffffffffffffffff+2", 4, "smaller"),
        ("va:0x1000@comm:sh", 10, "@pid:"),
        ("(" * (MAX_DEPTH + 2), MAX_DEPTH + 2, "less"),
        ("+".join(["all"] * 257).replace("+", " + "), 6 * 256 + 1, "less"),
    ],
)
def test_an_error_says_at_which_column_and_what_to_try(text, column, hint):
    with pytest.raises(UsageError) as caught:
        parse_target(text)
    assert f" at column {column}, " in str(caught.value)
    assert hint in str(caught.value).split("; ", 1)[1]


def test_a_long_text_is_refused_at_once():
    with pytest.raises(UsageError, match="too long"):
        parse_target("(" * (MAX_LENGTH + 1))


@pytest.mark.parametrize(
    ("text", "pid", "place"),
    [
        ("0x1000", None, Span(0x1000)),
        (" 4096 ", None, Span(0x1000)),
        ("pa:0x1000", None, Span(0x1000)),
        ("0x1000", 7, Span(0x1000, None, True, 7)),
        ("va:0x1000", None, Span(0x1000, None, True)),
        ("va:0x1000@pid:7", None, Span(0x1000, None, True, 7)),
        ("va:0x1000", 7, Span(0x1000, None, True, 7)),
        ("init_task", None, SymbolPlace("init_task")),
        ("sym:init_task+0x10", None, SymbolPlace("init_task", 16)),
        ("init_task + 16", None, SymbolPlace("init_task", 16)),
    ],
)
def test_a_place_is_an_address_or_a_symbol(text, pid, place):
    assert parse_place(text, pid) == place


@pytest.mark.parametrize(
    ("text", "pid"), [("", None), ("0x1 2", None), ("pa:1", 7), ("init_task", 7), ("va:1@pid:2", 3)]
)
def test_what_is_no_place_is_an_error(text, pid):
    with pytest.raises(UsageError):
        parse_place(text, pid)
