"""What differs between two moments, page by page."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest
from open_captures import let_go
from support import booted, glassbox

from qemu_bridge.captures.compare import Change, by_class, compare_pages, owners_that_came_and_went
from qemu_bridge.errors import UsageError
from qemu_bridge.memory.addresses import RamLayout
from qemu_bridge.memory.ram import GuestRam
from qemu_bridge.wire import capture_names as capture
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
    came, went = owners_that_came_and_went(before, after, np.ones(3, np.bool_))
    assert [owner.name for owner in came] == ["new"] and [owner.name for owner in went] == ["old"]
    # Of one target: nobody owned its page before, or does now.
    assert owners_that_came_and_went(before, after, np.array([False, False, True])) == (came, [])


@pytest.mark.guest
def test_compare_says_what_a_program_changed(image, tmp_path):
    with booted("changing", image) as guest:
        assert glassbox("capture", "changing", "-o", str(tmp_path / "before")).returncode == 0
        guest.exec("dd if=/dev/urandom of=/tmp/news bs=64k count=16; (sleep 1000 </dev/null >/dev/null 2>&1 &)")
        done = glassbox("compare", str(tmp_path / "before"), "changing", "--json", "--pages")
        where = glassbox("where", "changing", "file:/tmp/news", "--json")
    let_go(tmp_path / "before")
    assert (tmp_path / "before" / capture.RAM).stat().st_blocks * 512 < 0.9 * (128 << 20)
    assert done.returncode == 1, done  # as of diff
    found = json.loads(done.stdout)
    assert any(owner["name"] == "/tmp/news" for owner in found["owners_appeared"])
    assert any(owner["name"] == "sleep" and owner["kind"] == "process" for owner in found["owners_appeared"])
    # Random bytes: every page of the new file differs.
    differing = {page for run in found["ranges"] for page in range(run["first"] >> 12, (run["last"] >> 12) + 1)}
    news = json.loads(where.stdout)["ranges"]
    pages = {page for row in news for page in range(row["ram_offset"] >> 12, (row["ram_offset"] + row["size"]) >> 12)}
    assert len(pages) == 256 and pages <= differing


@pytest.mark.parametrize("sparse", ["always", "never"])
def test_copies_with_other_holes_compare_alike(sparse, tmp_path):
    # Page 4 was touched and holds zeros, page 5 never was.
    pages = {1: b"x", 2: b"x", 4: b"\0"}
    before, after = _ram(tmp_path / "a", pages), _ram(tmp_path / "b", {**pages, 2: b"\0", 4: b"y", 5: b"z", 6: b"\0"})
    copies = []
    for name in ("a", "b"):
        subprocess.run(["cp", f"--sparse={sparse}", tmp_path / name, tmp_path / f"{name}-copy"], check=True)
        copies.append(GuestRam(tmp_path / f"{name}-copy", before.layout))
    assert copies[0].resident_pages().sum() != before.resident_pages().sum()
    wanted = {2: Change.GONE, 4: Change.APPEARED, 5: Change.APPEARED}
    for one in (before, copies[0]):
        for other in (after, copies[1]):
            assert dict(enumerate(compare_pages(one, other).tolist())) == dict.fromkeys(range(64), 0) | wanted
    assert not compare_pages(before, copies[0]).any() and not compare_pages(copies[1], after).any()
