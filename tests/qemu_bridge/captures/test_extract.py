"""Files and archives written from RAM that lacks parts of them."""

from __future__ import annotations

import os
import stat
import tarfile

import pytest
from memory_samples import Memory

from qemu_bridge.captures.extract import MISSING, MOST_MISSING, missing, newest_of_name, write_file, write_tree
from qemu_bridge.errors import UsageError
from qemu_bridge.memory.addresses import PhysicalAddress
from qemu_bridge.wire.records import FileInMemory, FileRun


def a_file(path="/data/one", *, size=0x5123, runs=((0x1000, 0x2000, 0x8000), (0x5000, 0x123, 0x3000)), **others):
    found = tuple(FileRun(offset, length, PhysicalAddress(physical)) for offset, length, physical in runs)
    fields = dict(filesystem="ext4", device="08:01", inode=7, mode=stat.S_IFREG | 0o640, uid=1, gid=2, mtime_s=99)
    fields |= {"in_memory": sum(run.size for run in found), "swapped": 0, "is_of_memory": False} | others
    return FileInMemory(path=path, size=size, runs=found, **fields)


@pytest.fixture
def memory(tmp_path):
    memory = Memory(tmp_path)
    memory.write(0x8000, b"A" * 0x2000)
    memory.write(0x3000, b"B" * 0x1000)
    return memory


WANTED = bytes(0x1000) + b"A" * 0x2000 + bytes(0x2000) + b"B" * 0x123


def test_what_is_not_in_memory_is_missing_but_of_files_of_memory():
    assert missing(a_file()) == ((0, 0x1000), (0x3000, 0x5000))
    assert missing(a_file(runs=())) == ((0, 0x5123),)
    assert missing(a_file(is_of_memory=True)) == ()
    assert missing(a_file(is_of_memory=True, swapped=4096)) == ((0, 0x1000), (0x3000, 0x5000))


def test_a_file_has_holes_where_nothing_is_known(memory, tmp_path):
    out = tmp_path / "out"
    with memory.open() as ram:
        write_file(ram, a_file(), out)
        assert out.read_bytes() == WANTED
        descriptor = os.open(out, os.O_RDONLY)
        assert os.lseek(descriptor, 0, os.SEEK_DATA) == 0x1000 and os.lseek(descriptor, 0x1000, os.SEEK_HOLE) == 0x3000
        os.close(descriptor)
        with pytest.raises(UsageError, match="exists"):
            write_file(ram, a_file(), out)
    assert [path.name for path in tmp_path.glob(".part-*")] == []


def test_an_archive_marks_what_is_missing_and_stays_in_its_folder(memory, tmp_path):
    files = [
        a_file(),
        a_file("/../../etc/./evil (deleted)"),
        a_file("/link", mode=stat.S_IFLNK | 0o777, runs=(), link="data/one"),
        a_file("/lost", mode=stat.S_IFLNK | 0o777, runs=()),
        a_file("/huge", size=MOST_MISSING + 0x9000),
    ]
    with memory.open() as ram:
        notes = write_tree(ram, files, tmp_path / "tree.tar")
    assert sorted(note.split(":")[0] for note in notes) == ["/huge", "/lost"]
    with tarfile.open(tmp_path / "tree.tar") as archive:
        assert sorted(archive.getnames()) == ["data/one", "etc/evil (deleted)", "link"]
        member = archive.getmember("data/one")
        assert archive.extractfile(member).read() == WANTED
        assert member.pax_headers[MISSING] == "0x0-0x1000,0x3000-0x5000"
        assert (member.mode, member.uid, member.gid, member.mtime) == (0o640, 1, 2, 99)


def test_of_files_with_one_name_the_one_that_is_there_is_meant():
    old, older, new = a_file("/a (deleted)"), a_file("/a (deleted)", inode=8), a_file("/a", inode=9)
    assert newest_of_name([old, older, new]) == [new] and newest_of_name([old, older], 8) == [older]
    with pytest.raises(UsageError, match="--inode: 7, 8"):
        newest_of_name([old, older])
