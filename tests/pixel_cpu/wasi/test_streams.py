"""Reads and writes of many lanes."""

import os

import numpy as np
import pytest
from wasi_runs import Ours, numbers, opened, put_all, vector, wasi

from pixel_cpu.wasi import Preopen
from pixel_cpu.wasi.abi import Errno

LANES = 40


@pytest.fixture
def ours(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "text").write_bytes(bytes(range(200)) * 10)
    directories = [Preopen(tmp_path / "in", "/in"), Preopen(tmp_path / "out", "/out", True)]
    (tmp_path / "out").mkdir()
    with wasi(LANES, stdin=[b"%d" % lane * lane for lane in range(LANES)], directories=directories) as host:
        yield Ours(host, LANES)


def test_equal_reads_are_done_once(ours, monkeypatch):
    assert set(opened(ours, b"text")) == {5} and ours.wasi.files.opened == 3
    reads, pread = [], os.pread
    monkeypatch.setattr(os, "pread", lambda *given: reads.append(given) or pread(*given))
    put_all(ours, 0, vector(100, 50))
    assert not ours.call_all("fd_read", 5, 0, 1, 16).any() and len(reads) == 1
    assert set(numbers(ours, 16)) == {50} and (ours.rows[:, 100:150] == np.arange(50)).all()
    ours.call_all("fd_seek", 5, np.arange(LANES) % 3, 0, 16)
    ours.call_all("fd_read", 5, 0, 1, 16)
    assert len(reads) == 4 and (ours.rows[:, 100] == np.arange(LANES) % 3).all()
    ours.call_all("fd_tell", 5, 24)
    assert numbers(ours, 24, "<u8") == [50 + lane % 3 for lane in range(LANES)]


@pytest.mark.parametrize("step", [1, 3])
def test_each_lane_reads_to_where_it_wants(ours, step):
    """Few different places, and more than are handed out one by one."""
    opened(ours, b"text")
    for lane, row in enumerate(ours.rows):
        row[0:16] = np.frombuffer(vector(1000 + lane * step, 7) + vector(3000, lane), np.uint8)
    offsets = np.arange(LANES) * (step - 1)
    assert not ours.call_all("fd_pread", 5, 0, 2, offsets, 16).any()
    for lane, row in enumerate(ours.rows):
        place = offsets[lane]
        assert row[1000 + lane * step : 1007 + lane * step].tolist() == [n % 200 for n in range(place, place + 7)]
        assert row[3000 : 3000 + lane].tolist() == [n % 200 for n in range(place + 7, place + 7 + lane)]
    assert numbers(ours, 16) == [7 + lane for lane in range(LANES)]


def test_stdin_is_each_lane_s_own_and_ends(ours):
    put_all(ours, 0, vector(100, 11))
    for turn in range(8):
        ours.call_all("fd_read", 0, 0, 1, 16)
        for lane in range(LANES):
            text = (b"%d" % lane * lane)[turn * 11 :][:11]
            assert numbers(ours, 16)[lane] == len(text) and ours.rows[lane, 100 : 100 + len(text)].tobytes() == text


def test_output_of_all_lanes_is_kept_in_order(ours):
    for lane, row in enumerate(ours.rows):
        row[0:16] = np.frombuffer(vector(100, lane % 4) + vector(200, 2), np.uint8)
        row[100:104], row[200:202] = lane, lane + 1
    for stream in (1, 2, 1):
        assert not ours.call_all("fd_write", stream, 0, 2, 16).any()
    once = [bytes([lane] * (lane % 4) + [lane + 1] * 2) for lane in range(LANES)]
    assert ours.wasi.stdout == [text * 2 for text in once] and ours.wasi.stderr == once
    assert numbers(ours, 16) == [len(text) for text in once]


def test_lanes_append_to_one_file_one_after_another(ours, tmp_path):
    assert set(opened(ours, b"log", rights=64, how=1, directory=4, flags=1)) == {5}
    put_all(ours, 0, vector(100, 3))
    put_all(ours, 100, *(b"%02d\n" % lane for lane in range(LANES)))
    assert not ours.call_all("fd_write", 5, 0, 1, 16).any()
    assert (tmp_path / "out" / "log").read_bytes() == b"".join(b"%02d\n" % lane for lane in range(LANES))


def test_pointers_and_lengths_outside_memory_are_refused(ours):
    opened(ours, b"text")
    for name, descriptor in (("fd_read", 5), ("fd_write", 1), ("fd_read", 0)):
        for pointer, length in ((65530, 7), (2**32 - 1, 1), (0, 2**32 - 1), (2**32 - 1, 2**32 - 1)):
            put_all(ours, 0, vector(pointer, length))
            assert set(ours.call_all(name, descriptor, 0, 1, 16)) == {Errno.FAULT}
        put_all(ours, 0, vector(100, 1))
        assert set(ours.call_all(name, descriptor, 65532, 1, 16)) == {Errno.FAULT}
        assert set(ours.call_all(name, descriptor, 0, 1, 65533)) == {Errno.FAULT}
        assert set(ours.call_all(name, descriptor, 0, 2**31, 16)) == {Errno.INVAL}
    assert ours.wasi.stdout == [b""] * LANES


def test_one_lane_s_mistake_is_its_own(ours):
    put_all(ours, 0, vector(100, 4))
    ours.rows[3, 0:8] = 255
    descriptors = np.where(np.arange(LANES) == 7, 77, 1)
    errors = ours.call_all("fd_write", descriptors, 0, 1, 16)
    assert errors[[3, 7]].tolist() == [Errno.FAULT, Errno.BADF] and errors.sum() == Errno.FAULT + Errno.BADF
    assert [len(text) for text in ours.wasi.stdout] == [0 if lane in (3, 7) else 4 for lane in range(LANES)]


def test_a_round_of_large_writes_is_gathered_in_portions(ours, monkeypatch):
    monkeypatch.setattr("pixel_cpu.wasi.streams._ROUND_BYTES", 5000)
    put_all(ours, 0, vector(100, 1500))
    assert not ours.call_all("fd_write", 1, 0, 1, 16).any()
    assert {len(text) for text in ours.wasi.stdout} == {1500}


def test_a_pipe_holds_up_nobody(ours, tmp_path):
    os.mkfifo(tmp_path / "in" / "pipe")
    assert set(opened(ours, b"pipe")) == {5}
    writer = os.open(tmp_path / "in" / "pipe", os.O_WRONLY)
    put_all(ours, 0, vector(100, 4))
    assert set(ours.call_all("fd_read", 5, 0, 1, 16)) == {Errno.AGAIN}
    os.write(writer, b"abcd")
    assert ours.call_all("fd_read", 5, 0, 1, 16).tolist() == [0] + [Errno.AGAIN] * (LANES - 1)
    os.close(writer)
