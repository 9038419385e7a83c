"""Equal files are opened once, and no more at a time than the host allows."""

import os

import pytest

from pixel_cpu.wasi.files import Files, most_host_files


@pytest.fixture
def files(tmp_path):
    for number in range(20):
        (tmp_path / f"f{number}").write_bytes(b"%d" % number)
    (tmp_path / "dir").mkdir()
    made = Files(6)
    yield made, made.open_root(tmp_path)
    made.close()


def read(files, file):
    return os.pread(files.host(file), 10, 0)


def test_a_file_is_open_once_for_the_same_rights(files):
    made, root = files
    one, two = (made.open(root, root, b"f1", os.O_RDONLY) for _ in range(2))
    other = made.open(root, root, b"f1", os.O_RDWR)
    assert one is two and other is not one and made.opened == 3
    made.release(one)
    assert read(made, two) == b"1"
    made.release(two)
    assert made.opened == 2


def test_what_was_not_used_for_long_is_closed_and_comes_back(files):
    made, root = files
    opened = [made.open(root, root, b"f%d" % number, os.O_RDONLY) for number in range(20)]
    assert made.opened == 6 and made.closed == 15
    assert [read(made, file) for file in opened] == [b"%d" % number for number in range(20)]
    assert made.opened == 6
    for file in opened:
        made.release(file)
    assert made.opened == 1 and made.closed == 0


def test_a_closed_file_is_found_again_after_it_was_moved_or_its_directory(files, tmp_path):
    made, root = files
    file = made.open(root, root, b"f0", os.O_RDONLY)
    for number in range(1, 9):
        made.open(root, root, b"f%d" % number, os.O_RDONLY)
    assert file.host is None
    os.rename(tmp_path / "f0", tmp_path / "dir" / "moved")
    made.moved(os.fsencode(tmp_path / "f0"), os.fsencode(tmp_path / "dir" / "moved"))
    os.rename(tmp_path / "dir", tmp_path / "other")
    made.moved(os.fsencode(tmp_path / "dir"), os.fsencode(tmp_path / "other"))
    assert read(made, file) == b"0"


def test_a_closed_file_is_opened_before_its_name_goes(files, tmp_path):
    made, root = files
    file = made.open(root, root, b"f0", os.O_RDONLY)
    for number in range(1, 9):
        made.open(root, root, b"f%d" % number, os.O_RDONLY)
    made.before_removal(os.stat(tmp_path / "f0"))
    os.unlink(tmp_path / "f0")
    for number in range(9, 15):
        made.open(root, root, b"f%d" % number, os.O_RDONLY)
    assert read(made, file) == b"0"


def test_another_file_of_the_same_name_is_not_taken_for_it(files, tmp_path):
    made, root = files
    file = made.open(root, root, b"f0", os.O_RDONLY)
    for number in range(1, 9):
        made.open(root, root, b"f%d" % number, os.O_RDONLY)
    (tmp_path / "new").write_bytes(b"another")
    os.rename(tmp_path / "new", tmp_path / "f0")
    with pytest.raises(OSError, match="Stale"):
        read(made, file)


def test_where_nothing_can_be_closed_the_error_says_so(files, tmp_path):
    made, root = files
    for number in range(5):
        made.open(root, root, b"f%d" % number, os.O_RDONLY)
        os.unlink(tmp_path / f"f{number}")
    with pytest.raises(OSError, match="Too many open files"):
        made.open(root, root, b"f9", os.O_RDONLY)


def test_the_bound_follows_that_of_the_process():
    assert most_host_files() >= 16
