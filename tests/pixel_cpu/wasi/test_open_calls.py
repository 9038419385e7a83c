"""Files are opened by many lanes."""

import os

import pytest
from wasi_runs import Ours, numbers, opened, put_all, wasi

from pixel_cpu.wasi import Preopen
from pixel_cpu.wasi import files as files_module
from pixel_cpu.wasi.abi import Errno

LANES = 20


@pytest.fixture
def ours(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "dir").mkdir()
    os.symlink("file", tmp_path / "link")
    with wasi(LANES, directories=[Preopen(tmp_path, "/", True), Preopen(tmp_path, "/ro")], descriptors=8) as host:
        yield Ours(host, LANES)


def test_equal_opens_are_one_of_the_host(ours, monkeypatch):
    calls, plain = [], files_module.open_beneath
    monkeypatch.setattr(files_module, "open_beneath", lambda *given: calls.append(given) or plain(*given))
    assert opened(ours, b"file") == [5] * LANES and len(calls) == 1 and ours.wasi.files.opened == 3
    ours.call_all("fd_close", 5)
    assert ours.wasi.files.opened == 2


def test_one_lane_creates_what_all_want_to_create_first(ours):
    assert opened(ours, b"new", rights=64, how=5) == [5] + [-Errno.EXIST] * (LANES - 1)


def test_descriptors_of_a_lane_are_bounded(ours):
    assert [opened(ours, b"file")[0] for _ in range(5)] == [5, 6, 7, -Errno.MFILE, -Errno.MFILE]
    ours.call_all("fd_close", 6)
    assert opened(ours, b"file") == [6] * LANES
    assert ours.wasi.files.opened == 3


def test_links_are_followed_where_that_is_asked(ours):
    assert opened(ours, b"link") == [5] * LANES
    assert opened(ours, b"link", follow=0) == [-Errno.LOOP] * LANES


def test_a_path_that_is_no_text_or_too_long_is_refused(ours):
    put_all(ours, 0, b"\xff\xfe")
    for start, length, error in (
        (0, 2, Errno.ILSEQ),
        (0, 5000, Errno.NAMETOOLONG),
        (65500, 100, Errno.FAULT),
        (0, 0, Errno.NOENT),
    ):
        assert set(ours.call_all("path_open", 3, 0, start, length, 0, 2, 0, 0, 100)) == {error}


def test_a_read_only_directory_gives_nothing_to_write(ours, tmp_path):
    for rights, how in ((64, 0), (2, 1), (2, 8), (66, 0)):
        assert set(opened(ours, b"file", rights=rights, how=how, directory=4)) == {-Errno.PERM}
    (descriptor,) = set(opened(ours, b"dir", directory=4))
    assert set(opened(ours, b"new", rights=64, how=1, directory=descriptor)) == {-Errno.PERM}
    assert sorted(os.listdir(tmp_path)) == ["dir", "file", "link"] and numbers(ours, 0) == [0] * LANES
