"""Directories are listed."""

import os

import numpy as np
import pytest
from wasi_runs import Ours, numbers, wasi

from pixel_cpu.wasi import Preopen
from pixel_cpu.wasi.abi import DIRENT, Errno, Filetype

NAMES = ["a", "bb", "café", "dir", "link", "z" * 200]


def entries(data):
    found = []
    while len(data) >= 24:
        head = np.frombuffer(data[:24], DIRENT)[0]
        found.append((data[24 : 24 + head["length"]].decode(), int(head["type"]), int(head["next"])))
        data = data[24 + head["length"] :]
    return found


@pytest.fixture
def ours(tmp_path):
    for name in NAMES:
        (tmp_path / name).write_bytes(b"") if name not in ("dir", "link") else None
    (tmp_path / "dir").mkdir()
    os.symlink("a", tmp_path / "link")
    with wasi(4, directories=[Preopen(tmp_path, "/", True)]) as host:
        yield Ours(host, 4)


def test_a_directory_is_listed_by_name_with_kinds(ours):
    assert not ours.call_all("fd_readdir", 3, 1000, 4096, 0, 0).any() and len(set(numbers(ours, 0))) == 1
    found = entries(ours.rows[2, 1000 : 1000 + numbers(ours, 0)[2]].tobytes())
    assert [name for name, _, _ in found] == [".", "..", *NAMES] and [place for _, _, place in found] == list(
        range(1, 9)
    )
    kinds = {name: kind for name, kind, _ in found}
    assert (kinds["a"], kinds["dir"], kinds["link"]) == (
        Filetype.REGULAR_FILE,
        Filetype.DIRECTORY,
        Filetype.SYMBOLIC_LINK,
    )


@pytest.mark.parametrize("size", [24, 60, 100, 224, 300])
def test_a_small_buffer_is_filled_again_and_again(ours, size, tmp_path):
    """As libc does it: what was cut is asked for again, and a buffer that holds no entry is made larger."""
    names, cookie = [], 0
    while True:
        ours.call_all("fd_readdir", 3, 1000, size, cookie, 0)
        used = numbers(ours, 0)[0]
        whole = [each for each in entries(ours.rows[0, 1000 : 1000 + used].tobytes()) if each[0]]
        data, got = ours.rows[0, 1000 : 1000 + used].tobytes(), []
        for each in whole:
            length = 24 + len(each[0].encode())
            if len(data) >= length and np.frombuffer(data[:24], DIRENT)[0]["length"] == len(each[0].encode()):
                got.append(each)
            data = data[length:]
        if names:
            (tmp_path / f"new{len(names)}").write_bytes(b"")  # what comes later is not seen by who began before
        if not got:
            if used < size:
                break
            size *= 2
            continue
        names += [name for name, _, _ in got]
        cookie = got[-1][2]
    assert names == [".", "..", *NAMES]


def test_lanes_ask_from_where_they_are(ours):
    ours.call_all("fd_readdir", 3, 1000, 4096, np.array([0, 1, 7, 99]), 0)
    assert [len(entries(ours.rows[lane, 1000 : 1000 + numbers(ours, 0)[lane]].tobytes())) for lane in range(4)] == [
        8,
        7,
        1,
        0,
    ]


def test_what_is_no_directory_or_no_memory_is_refused(ours):
    assert set(ours.call_all("fd_readdir", 1, 1000, 100, 0, 0)) == {Errno.BADF}
    assert (
        set(ours.call_all("fd_readdir", 3, 65000, 1000, 0, 0))
        == set(ours.call_all("fd_readdir", 3, 0, 10, 0, 65533))
        == {Errno.FAULT}
    )


def test_a_closed_descriptor_keeps_no_listing(ours):
    ours.call_all("fd_readdir", 3, 1000, 100, 0, 0)
    assert len(ours.wasi.listings) == 4
    ours.call_all("fd_close", 3)
    assert not ours.wasi.listings
