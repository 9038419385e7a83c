"""Calls about descriptors, by many lanes. Single calls are compared with wasmtime in `test_table`."""

import os

import numpy as np
import pytest
from wasi_runs import Ours, numbers, opened, wasi

from pixel_cpu.wasi import Preopen, abi
from pixel_cpu.wasi.abi import Errno

LANES = 9


@pytest.fixture
def ours(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    with wasi(LANES, directories=[Preopen(tmp_path, "/data", True)]) as host:
        yield Ours(host, LANES)


def test_preopens_are_told_by_name(ours):
    assert not ours.call_all("fd_prestat_get", 3, 8).any() and numbers(ours, 8, "<u8") == [5 << 32] * LANES
    assert not ours.call_all("fd_prestat_dir_name", 3, 16, 5).any() and ours.rows[4, 16:22].tobytes() == b"/data\0"
    assert set(ours.call_all("fd_prestat_dir_name", 3, 16, 4)) == {Errno.NAMETOOLONG}
    assert set(ours.call_all("fd_prestat_get", np.arange(LANES) + 4, 8)) == {Errno.BADF}


def test_what_a_descriptor_is_of_differs_by_lane(ours):
    opened(ours, b"file")
    descriptors = np.arange(LANES) % 5
    assert not ours.call_all("fd_fdstat_get", descriptors, 0).any()
    found = ours.rows[:, :24].copy().view(abi.FDSTAT)[:, 0]
    kinds = [abi.Filetype.UNKNOWN] * 3 + [abi.Filetype.DIRECTORY, abi.Filetype.REGULAR_FILE]
    assert found["filetype"].tolist() == [kinds[each] for each in descriptors]
    assert not ours.call_all("fd_filestat_get", descriptors, 0).any()
    assert ours.rows[:, :64].copy().view(abi.FILESTAT)[:, 0]["size"][[4]].tolist() == [5]


def test_renumbering_closes_what_was_there(ours):
    assert opened(ours, b"file") == [4] * LANES and opened(ours, b"file", rights=66) == [5] * LANES
    assert not ours.call_all("fd_renumber", 5, 4).any() and ours.wasi.files.opened == 2
    assert set(ours.call_all("fd_tell", 5, 0)) == {Errno.BADF} and not ours.call_all("fd_filestat_set_size", 4, 2).any()
    assert opened(ours, b"file") == [5] * LANES


def test_room_is_reserved_and_size_set(ours, tmp_path):
    opened(ours, b"file", rights=66)
    assert not ours.call_all("fd_allocate", 4, 0, 100).any() and os.stat(tmp_path / "file").st_size == 100
    assert set(ours.call_all("fd_allocate", 4, 0, 0)) == set(ours.call_all("fd_allocate", 4, -1, 5)) == {Errno.INVAL}
    assert set(ours.call_all("fd_filestat_set_size", 4, -1)) == {Errno.FBIG}
    for name in ("fd_sync", "fd_datasync"):
        assert not ours.call_all(name, 4).any() and set(ours.call_all(name, 1)) == {Errno.BADF}


def test_times_are_set(ours, tmp_path):
    opened(ours, b"file", rights=66)
    assert not ours.call_all("fd_filestat_set_times", 4, 10**9, 3 * 10**9 + 7, 5).any()
    found = os.stat(tmp_path / "file")
    assert (found.st_atime_ns, found.st_mtime_ns) == (10**9, 3 * 10**9 + 7)
    assert set(ours.call_all("fd_filestat_set_times", 4, 0, 0, 3)) == {Errno.INVAL}


def test_pointers_outside_memory_are_refused(ours):
    for name, operands in {
        "fd_fdstat_get": (3, 65513), "fd_filestat_get": (3, 65473), "fd_prestat_get": (3, 65529), "fd_prestat_dir_name": (3, 65532, 5),
    }.items():  # fmt: skip
        assert set(ours.call_all(name, *operands)) == {Errno.FAULT}


def test_closing_twice_is_an_error(ours):
    opened(ours, b"file")
    assert not ours.call_all("fd_close", 4).any() and set(ours.call_all("fd_close", 4)) == {Errno.BADF}
    assert set(ours.call_all("fd_close", 2**32 - 1)) == {Errno.BADF} and ours.wasi.files.opened == 1
