"""Directories of lanes: shared, or each its own."""

import pytest
from wasi_runs import Ours, numbers, opened, put_all, tree, vector, wasi

from pixel_cpu.errors import UsageError
from pixel_cpu.wasi import Preopen, Wasi
from pixel_cpu.wasi.abi import Errno

LANES = 12


def test_each_lane_writes_to_its_own_directory_made_when_it_does(tmp_path):
    with wasi(LANES, directories=[Preopen(tmp_path / "lane-{id}" / "out", "/", True)]) as host:
        assert tree(tmp_path) == {}
        ours = Ours(host, LANES)
        assert set(opened(ours, b"result", rights=64, how=1)) == {4}
        put_all(ours, 0, vector(100, 2))
        put_all(ours, 100, *(b"%02d" % lane for lane in range(LANES)))
        assert not ours.call_all("fd_write", 4, 0, 1, 16).any()
    assert {name: content for name, content in tree(tmp_path).items() if name.endswith("result")} == {
        f"lane-{lane}/out/result": b"%02d" % lane for lane in range(LANES)
    }


def test_lanes_cannot_reach_each_other_s(tmp_path):
    with wasi(2, directories=[Preopen(tmp_path / "lane-{id}", "/", True)]) as host:
        ours = Ours(host, 2)
        assert opened(ours, b"mine", rights=64, how=1) == [4, 4]
        for path in (b"../lane-0/mine", b"../lane-1/mine", b"..", b"../lane-1"):
            assert opened(ours, path) == [-Errno.PERM] * 2


def test_more_files_than_the_host_allows_still_work(tmp_path):
    with wasi(LANES, directories=[Preopen(tmp_path / "lane-{id}", "/", True)], host_files=5) as host:
        ours = Ours(host, LANES)
        assert set(opened(ours, b"a", rights=66, how=1)) == {4} and set(opened(ours, b"b", rights=66, how=1)) == {5}
        put_all(ours, 0, vector(100, 2))
        for turn in range(3):
            put_all(ours, 100, *(b"%x%d" % (lane, turn) for lane in range(LANES)))
            for descriptor in (4, 5):
                assert not ours.call_all("fd_write", descriptor, 0, 1, 16).any()
        put_all(ours, 0, vector(200, 10))
        assert not ours.call_all("fd_pread", 4, 0, 1, 0, 16).any() and set(numbers(ours, 16)) == {6}
        assert ours.rows[7, 200:206].tobytes() == b"707172" and host.files.opened <= 5
        # A file without a name cannot be opened again, so that it stays open, until there is no room for more.
        put_all(ours, 60000, b"a")
        errors = ours.call_all("path_unlink_file", 3, 60000, 1).tolist()
        assert errors[:2] == [0, 0] and set(errors) == {0, Errno.MFILE} and host.files.opened == 5
        kept = {name for name in tree(tmp_path) if name.endswith("/a")}
        assert kept == {f"lane-{lane}/a" for lane, error in enumerate(errors) if error}


def test_directories_that_are_not_there_are_told(tmp_path):
    (tmp_path / "lane-0").mkdir()
    with pytest.raises(UsageError, match="lane-1: not there; make it first"):
        Wasi(2, directories=[Preopen(tmp_path / "lane-{id}", "/")])
    with pytest.raises(UsageError, match="no: No such file"):
        Wasi(2, directories=[Preopen(tmp_path / "no" / "lane-{id}", "/", True)])


def test_lanes_that_are_some_of_many_keep_their_numbers(tmp_path):
    with wasi(2, directories=[Preopen(tmp_path / "lane-{id}", "/", True)], numbers=[7, 9]) as host:
        assert opened(Ours(host, 2), b"made", rights=64, how=1) == [4, 4]
    assert sorted(tree(tmp_path)) == ["lane-7", "lane-7/made", "lane-9", "lane-9/made"]
