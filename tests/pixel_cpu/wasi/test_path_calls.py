"""What changes names, between directories and against read-only ones. Single calls are compared with wasmtime in `test_table`."""

import os

import pytest
from wasi_runs import Ours, numbers, opened, put_all, wasi

from pixel_cpu.wasi import Preopen, abi
from pixel_cpu.wasi.abi import Errno

A, B = 1000, 2000


@pytest.fixture
def ours(tmp_path):
    for name in ("one", "two", "ro"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(name.encode())
    os.symlink("../ro/file", tmp_path / "one" / "out")
    directories = [
        Preopen(tmp_path / "one", "/one", True),
        Preopen(tmp_path / "two", "/two", True),
        Preopen(tmp_path / "ro", "/ro"),
    ]
    with wasi(3, directories=directories) as host:
        yield Ours(host, 3)


def between(ours, name, old, new, source, target):
    first, second = put_all(ours, A, old), put_all(ours, B, new)
    extra = (0,) if name == "path_link" else ()
    return int(ours.call_all(name, source, *extra, A, first, target, B, second, lanes=None)[0])


def test_files_move_and_are_linked_between_writable_directories(ours, tmp_path):
    assert (
        between(ours, "path_link", b"file", b"linked", 3, 4) == 0
        and (tmp_path / "two" / "linked").read_bytes() == b"one"
    )
    assert (
        between(ours, "path_rename", b"file", b"moved", 3, 4) == 0
        and (tmp_path / "two" / "moved").read_bytes() == b"one"
    )


def test_nothing_goes_out_of_or_into_a_read_only_directory(ours, tmp_path):
    for name in ("path_link", "path_rename"):
        for source, target in ((5, 3), (3, 5), (5, 5)):
            assert between(ours, name, b"file", b"new", source, target) == Errno.PERM
    length = put_all(ours, A, b"file")
    for name in ("path_unlink_file", "path_remove_directory", "path_create_directory"):
        assert set(ours.call_all(name, 5, A, length)) == {Errno.PERM}
    assert set(ours.call_all("path_symlink", A, length, 5, A, length)) == {Errno.PERM}
    assert set(ours.call_all("path_filestat_set_times", 5, 0, A, length, 0, 0, 5)) == {Errno.PERM}
    assert os.listdir(tmp_path / "ro") == ["file"]


@pytest.mark.parametrize("path", [b"../two/file", b"/etc/passwd", b"out", b"../.."])
def test_names_outside_are_not_reached(ours, tmp_path, path):
    length = put_all(ours, A, path)
    assert set(ours.call_all("path_filestat_get", 3, 1, A, length, 0)) == {Errno.PERM}
    assert set(opened(ours, path)) == {-Errno.PERM}
    if path != b"out":
        for name in ("path_unlink_file", "path_remove_directory", "path_create_directory"):
            assert set(ours.call_all(name, 3, A, length)) == {Errno.PERM}
        assert (
            between(ours, "path_rename", path, b"x", 3, 3)
            == between(ours, "path_rename", b"file", path, 3, 3)
            == Errno.PERM
        )
        assert (
            between(ours, "path_link", path, b"x", 3, 3)
            == between(ours, "path_link", b"file", path, 3, 3)
            == Errno.PERM
        )


def test_a_hard_link_to_a_link_is_of_the_link(ours, tmp_path):
    assert between(ours, "path_link", b"out", b"again", 3, 3) == 0 and (tmp_path / "one" / "again").is_symlink()
    assert set(opened(ours, b"again")) == {-Errno.PERM}


def test_equal_questions_about_a_path_are_asked_once(ours, monkeypatch):
    length, asked, plain = put_all(ours, A, b"file"), [], os.fstat
    monkeypatch.setattr(os, "fstat", lambda host: asked.append(host) or plain(host))
    assert not ours.call_all("path_filestat_get", 3, 1, A, length, 0).any() and len(asked) == 1
    assert numbers(ours, 32, "<u8") == [3] * 3 and set(ours.rows[:, 16]) == {abi.Filetype.REGULAR_FILE}


def test_a_link_is_read_as_far_as_the_buffer_goes(ours):
    length = put_all(ours, A, b"out")
    assert not ours.call_all("path_readlink", 3, A, length, 100, 5, 200).any()
    assert numbers(ours, 200) == [5] * 3 and ours.rows[1, 100:106].tobytes() == b"../ro\0"
    assert set(ours.call_all("path_readlink", 3, A, length, 65530, 10, 200)) == {Errno.FAULT}
