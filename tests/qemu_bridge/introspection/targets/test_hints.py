"""Errors that point into a text, and names that are near."""

import pytest

from qemu_bridge.errors import UsageError
from qemu_bridge.introspection.targets.hints import error_at, suggest


def test_an_error_quotes_the_rest_from_its_column_and_ends_with_what_to_try():
    error = error_at("all - pid:1/heep", 13, "no such part of a process", "did you mean heap?")
    assert isinstance(error, UsageError)
    assert str(error) == "no such part of a process at column 13, 'heep'; did you mean heap?"


def test_a_long_rest_is_cut_and_an_empty_one_is_the_end():
    assert "'" + "x" * 40 + "…'" in str(error_at("x" * 100, 1, "wrong", "try another"))
    assert "at column 4, the end; " in str(error_at("all", 4, "wrong", "try another"))


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [("den", "did you mean dentry?"), ("dentri", "did you mean dentry?"), ("zzz", "list them"), ("", "list them")],
)
def test_names_that_are_near_are_suggested(wanted, hint):
    assert suggest(wanted, ["dentry", "inode_cache"], "list them") == hint
