"""The page map's file: whole generations, one writer, any reader."""

import numpy as np
import pytest

from qemu_bridge.errors import MachineError, MachineGoneError, PageMapOverwrittenError
from qemu_bridge.wire.page_map import ENTRY, PageMap, PageMapFile, Sharers
from qemu_bridge.wire.records import Grade, Owner, PageClass

OWNERS = {0: Owner(0, 0, ""), 3: Owner(3, 80, "httpd")}


def make(page_count, page_class, **fields):
    entries = np.zeros(page_count, ENTRY)
    entries["page_class"] = page_class
    return PageMap(entries, OWNERS, **fields)


def test_what_is_published_is_read(tmp_path):
    writer = PageMapFile.create(tmp_path / "pages", 100)
    header = writer.publish(make(100, PageClass.ZERO, grade=Grade.PAUSED, skipped=("a task",)))
    found = PageMapFile.attach(tmp_path / "pages").read(header, Grade.PAUSED, ("a task",))
    assert found.generation == 1 and found.grade is Grade.PAUSED and found.skipped == ("a task",)
    assert found.owners == OWNERS and found.counts() == {PageClass.ZERO: 100}


def test_an_entry_is_eight_bytes(tmp_path):
    assert ENTRY.itemsize == 8


def test_a_generation_stays_as_it_is_once_read(tmp_path):
    writer = PageMapFile.create(tmp_path / "pages", 10)
    found = writer.read(writer.publish(make(10, PageClass.ZERO)))
    for page_class in (PageClass.OTHER, PageClass.PAGE_TABLE):
        writer.publish(make(10, page_class))
    assert found.counts() == {PageClass.ZERO: 10}
    with pytest.raises(ValueError, match="read-only"):
        found.entries["page_class"][0] = 0


def test_a_generation_that_was_overwritten_is_refused(tmp_path):
    writer = PageMapFile.create(tmp_path / "pages", 10)
    header = writer.publish(make(10, PageClass.ZERO))
    writer.publish(make(10, PageClass.OTHER))
    with pytest.raises(PageMapOverwrittenError, match="ask again"):
        PageMapFile.attach(tmp_path / "pages").read(header)


def test_a_file_that_somebody_else_planted_is_refused(tmp_path):
    planted = tmp_path / "pages"
    planted.write_bytes(b"not a page map")
    with pytest.raises(MachineError, match="not a page map"):
        PageMapFile.create(planted, 10)
    (tmp_path / "link").symlink_to(planted)
    with pytest.raises(OSError, match="symbolic links"):
        PageMapFile.create(tmp_path / "link", 10)


def test_what_is_no_page_map_is_refused(tmp_path):
    with pytest.raises(MachineGoneError):
        PageMapFile.attach(tmp_path / "nowhere")
    (tmp_path / "short").write_bytes(b"GB")
    (tmp_path / "cut").write_bytes(b"GBPM\x01\0\0\0" + (1 << 40).to_bytes(8, "little") + bytes(48))
    for name in ("short", "cut"):
        with pytest.raises(MachineError):
            PageMapFile.attach(tmp_path / name)


def test_sharers_are_those_that_map_a_page():
    shared = Sharers(np.array([3, 3, 5, 9], np.int64), np.array([2, 81, 2, 90], np.uint32))
    page_map = PageMap(np.zeros(10, ENTRY), OWNERS, shared_by=shared)
    assert page_map.sharers(3) == (2, 81) and page_map.sharers(9) == (90,)
    assert page_map.sharers(4) == () and PageMap(np.zeros(10, ENTRY), OWNERS).sharers(0) == ()
