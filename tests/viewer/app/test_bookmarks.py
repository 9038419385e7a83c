"""Bookmarks are kept by machine, in a file that anybody may edit."""

from __future__ import annotations

import pytest

from qemu_bridge.errors import UsageError
from viewer.app.bookmarks import Bookmarks


def test_a_bookmark_is_there_the_next_time_and_only_for_its_machine(tmp_path):
    path = tmp_path / "bookmarks.toml"
    Bookmarks("demo", path).add("heap of 'init' \"x\"", "yaw=1")
    Bookmarks("other", path).add("text", "yaw=2")
    assert Bookmarks("demo", path).views == {"heap of 'init' \"x\"": "yaw=1"}
    assert Bookmarks("other", path).views == {"text": "yaw=2"}


def test_two_windows_do_not_overwrite_each_other(tmp_path):
    one, other = (Bookmarks("demo", tmp_path / "b.toml") for _ in range(2))
    one.add("a", "yaw=1")
    other.add("b", "yaw=2")
    one.reload()
    assert one.views == {"a": "yaw=1", "b": "yaw=2"}
    one.remove("a")
    assert Bookmarks("demo", tmp_path / "b.toml").views == {"b": "yaw=2"}


def test_names_are_cleaned_and_a_free_one_is_found(tmp_path):
    bookmarks = Bookmarks("demo", tmp_path / "b.toml")
    assert bookmarks.add("  two\nwords ", "yaw=1") == "two words"
    assert bookmarks.free_name() == "view 1"
    bookmarks.add("view 1", "yaw=1")
    assert bookmarks.free_name() == "view 2"
    with pytest.raises(UsageError, match="name"):
        bookmarks.add(" \n", "yaw=1")


def test_a_broken_file_is_told_and_shapes_that_do_not_fit_are_passed_over(tmp_path):
    path = tmp_path / "b.toml"
    path.write_text("no toml")
    assert "correct or remove" in Bookmarks("demo", path).problem
    path.write_text('demo = 3\n[other]\na = 1\nb = "yaw=1"\n')
    assert Bookmarks("demo", path).views == {} and Bookmarks("other", path).views == {"b": "yaw=1"}
