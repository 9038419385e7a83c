"""Checkpoints on disk: what is copied, what is written back, what is refused."""

import os

import pytest

from qemu_bridge.errors import UsageError
from qemu_bridge.memory.addresses import PAGE_SIZE
from qemu_bridge.timeline import checkpoints
from qemu_bridge.wire.records import Checkpoint

PAGES = 3000


def test_ram_comes_back_byte_for_byte_and_only_changed_pages_are_written(tmp_path):
    ram, copy = tmp_path / "ram", tmp_path / "copy"
    with open(ram, "wb") as file:
        file.truncate(PAGES * PAGE_SIZE)
        for page in (0, 7, 1024, PAGES - 1):
            os.pwrite(file.fileno(), os.urandom(PAGE_SIZE), page * PAGE_SIZE)
    before = ram.read_bytes()
    checkpoints.save_ram(ram, copy)
    assert copy.read_bytes() == before and copy.stat().st_blocks <= ram.stat().st_blocks
    with open(ram, "r+b") as file:
        for page in (7, 2000, PAGES - 1):
            os.pwrite(file.fileno(), b"changed", page * PAGE_SIZE + 5)
    assert checkpoints.load_ram(copy, ram) == [7, 2000, PAGES - 1]
    assert ram.read_bytes() == before


@pytest.mark.parametrize("tag", ["", "../x", ".hidden", "a/b", "x" * 41, "a\n"])
def test_a_tag_that_is_no_name_is_refused(tag):
    with pytest.raises(UsageError, match="tag"):
        checkpoints.validate_tag(tag)


def test_an_unknown_tag_is_told_how_to_make_one(isolated_folders):
    with pytest.raises(UsageError, match="glassbox checkpoint nobody before"):
        checkpoints.find_checkpoint("nobody", "before")


def test_a_removed_checkpoint_is_gone_and_its_tag_can_be_taken_again(isolated_folders):
    found = Checkpoint("before", "nobody", 1.0, 0.0, 0, 0, True, 1, 1)
    for _ in range(2):
        draft = checkpoints.make_draft("nobody", "before")
        (draft / checkpoints.RAM).write_bytes(b"ram")
        checkpoints.finish(draft, found)
        with pytest.raises(UsageError, match="glassbox forget nobody before"):
            checkpoints.make_draft("nobody", "before")
        assert checkpoints.remove_checkpoint("nobody", "before") == found
    assert not [*checkpoints.folder_of("nobody").iterdir()]
    with pytest.raises(UsageError, match="no checkpoint"):
        checkpoints.remove_checkpoint("nobody", "before")
