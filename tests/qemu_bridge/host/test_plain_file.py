"""Files from elsewhere: only plain ones are read, and only so much of them."""

from __future__ import annotations

import os

import pytest

from qemu_bridge.host.plain_file import open_plain, read_plain, write_atomic


def test_a_file_is_read_up_to_the_limit(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert read_plain(tmp_path / "file", 5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes"):
        read_plain(tmp_path / "file", 4)


def test_neither_fifos_nor_links_nor_folders_nor_devices_are_opened(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in (tmp_path / "fifo", tmp_path / "link", tmp_path):
        with pytest.raises(OSError):
            open_plain(path)
    with pytest.raises(OSError, match="not a regular file"):
        open_plain(tmp_path / "fifo")


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "folder" / "file"
    write_atomic(path, b"one")
    assert path.read_bytes() == b"one" and path.stat().st_mode & 0o777 == 0o600
    write_atomic(path, b"two", 0o644)
    assert path.read_bytes() == b"two" and path.stat().st_mode & 0o777 == 0o644
    with pytest.raises(TypeError):
        write_atomic(path, "no bytes")
    path.unlink()
    path.mkdir()
    with pytest.raises(OSError):
        write_atomic(path, b"three")
    assert [each.name for each in path.parent.iterdir()] == ["file"]
