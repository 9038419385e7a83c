"""What differs between two moments, page by page."""

from __future__ import annotations

import numpy as np
import pytest

from qemu_bridge.captures.compare import Change, by_class, compare_pages, owners_that_came_and_went
from qemu_bridge.errors import UsageError
from qemu_bridge.memory.addresses import RamLayout
from qemu_bridge.memory.ram import GuestRam
from qemu_bridge.wire.capture_records import ClassDifference
from qemu_bridge.wire.page_map import ENTRY, PageMap
from qemu_bridge.wire.records import Owner, PageClass

PAGE = 4096


def _ram(path, pages, count=64):
    with open(path, "wb") as file:
        file.truncate(count * PAGE)
        for page, content in pages.items():
            file.seek(page * PAGE)
            file.write(content * PAGE)
    return GuestRam(path, RamLayout.from_rule("pc", count * PAGE))


def test_pages_are_the_same_changed_appeared_or_gone(tmp_path):
    before = _ram(tmp_path / "a", {1: b"x", 2: b"x", 3: b"x"})
    after = _ram(tmp_path / "b", {1: b"x", 2: b"y", 9: b"z"})
    change = compare_pages(before, after)
    assert {page: Change(change[page]) for page in (1, 2, 3, 9, 10)} == {
        1: Change.SAME, 2: Change.CHANGED, 3: Change.GONE, 9: Change.APPEARED, 10: Change.SAME,
    }  # fmt: skip


def test_machines_of_other_sizes_are_not_compared(tmp_path):
    with pytest.raises(UsageError, match="cannot be compared"):
        compare_pages(_ram(tmp_path / "a", {}), _ram(tmp_path / "b", {}, 128))


def _map(classes, owners, names):
    entries = np.zeros(len(classes), ENTRY)
    entries["page_class"], entries["owner_id"] = classes, owners
    return PageMap(entries, {number: Owner(number, number, name) for number, name in names.items()})


def test_differences_are_counted_by_class_and_what_is_gone_by_what_it_was():
    before = _map([PageClass.SLAB, PageClass.SLAB, PageClass.FREE], [1, 1, 0], {1: "old"})
    after = _map([PageClass.FREE, PageClass.SLAB, PageClass.SHMEM], [0, 2, 2], {2: "new"})
    change = np.array([Change.GONE, Change.CHANGED, Change.APPEARED], np.uint8)
    assert by_class(change, before, after) == (
        ClassDifference("slab", 1, 0, 1),
        ClassDifference("shmem", 0, 1, 0),
    )
    came, went = owners_that_came_and_went(before, after)
    assert [owner.name for owner in came] == ["new"] and [owner.name for owner in went] == ["old"]
