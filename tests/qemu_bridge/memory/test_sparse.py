"""Where a sparse file holds data."""

import os

import pytest

from qemu_bridge.errors import MachineGoneError
from qemu_bridge.memory.sparse import data_bytes, iter_data

PAGE = 4096


def test_holes_are_passed_over_and_data_is_found_from_offset_to_offset(tmp_path):
    path = tmp_path / "sparse"
    with open(path, "wb") as file:
        file.truncate(64 * PAGE)
        for page in (3, 40, 41):
            os.pwrite(file.fileno(), b"x", page * PAGE)
    with open(path, "rb") as file:
        assert list(iter_data(file.fileno(), 0, 64 * PAGE)) == [(3 * PAGE, 4 * PAGE), (40 * PAGE, 42 * PAGE)]
        assert list(iter_data(file.fileno(), 3 * PAGE + 5, 41 * PAGE)) == [
            (3 * PAGE + 5, 4 * PAGE),
            (40 * PAGE, 41 * PAGE),
        ]
        assert list(iter_data(file.fileno(), 50 * PAGE, 64 * PAGE)) == []
    assert data_bytes(path, path.stat().st_size) == 3 * PAGE


def test_a_file_that_ends_within_a_page_counts_the_whole_page(tmp_path):
    path = tmp_path / "short"
    path.write_bytes(b"x" * (PAGE + 1))
    assert data_bytes(path, path.stat().st_size) == 2 * PAGE


def test_a_file_that_became_shorter_is_said(tmp_path):
    path = tmp_path / "ram"
    path.write_bytes(bytes(PAGE))
    with pytest.raises(MachineGoneError, match="cut short"):
        data_bytes(path, PAGE + 1)
