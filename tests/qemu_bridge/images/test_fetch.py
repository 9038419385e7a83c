"""Fetching from mirrors: each is tried, and nothing wrong is kept."""

from __future__ import annotations

import os
import socket
from hashlib import sha512
from pathlib import Path

import pytest
from images_samples import ROOTFS_NAME, MirrorServer, leftovers, write_recipe

from qemu_bridge import images
from qemu_bridge.errors import ImageError
from qemu_bridge.images import fetch as fetching
from qemu_bridge.images.fetch import Unavailable, fetch, order_mirrors
from qemu_bridge.images.recipe import RemoteFile


def test_wrong_checksum_is_refused_and_the_next_mirror_serves(tmp_path: Path, mirror: Path, rootfs: bytes) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / ROOTFS_NAME).write_bytes(rootfs[:-1] + b"?")
    write_recipe(tmp_path, rootfs, [bad.as_uri(), mirror.as_uri()])
    assert images.build_image("tiny").initrd.is_file()
    write_recipe(tmp_path, rootfs, [bad.as_uri()], name="worse")
    for path in (images.cache_folder() / "downloads").iterdir():
        path.unlink()
    with pytest.raises(ImageError, match="wrong checksum") as caught:
        images.build_image("worse")
    assert bad.as_uri() in str(caught.value) and "GLASSBOX_IMAGE_MIRROR" in str(caught.value)
    assert "worse" not in " ".join(os.listdir(images.cache_folder() / "built"))


def test_truncated_answer_is_refused_and_nothing_half_written_stays(
    tmp_path: Path, server: MirrorServer, rootfs: bytes
) -> None:
    write_recipe(tmp_path, rootfs, [server.url])
    server.keep = 0.5
    with pytest.raises(ImageError, match=r"truncated, \d+ of \d+ bytes"):
        images.build_image("tiny")
    assert leftovers(tmp_path) == []


def test_each_mirror_is_named_with_its_reason(tmp_path: Path, server: MirrorServer, rootfs: bytes) -> None:
    (server.folder / ROOTFS_NAME).unlink()
    closed = "http://127.0.0.1:9/"
    nowhere = (tmp_path / "nowhere").as_uri()
    write_recipe(tmp_path, rootfs, [server.url, closed, nowhere, "gopher://example.invalid/"])
    with pytest.raises(ImageError) as caught:
        images.build_image("tiny")
    message = str(caught.value)
    for part in (f"{server.url}{ROOTFS_NAME}: HTTP 404", f"{closed}{ROOTFS_NAME}: Connection refused"):
        assert part in message
    assert f"{nowhere}/{ROOTFS_NAME}: No such file" in message and "starts with https://" in message
    assert "\n" not in message and leftovers(tmp_path) == []


def test_each_download_that_fails_says_so_at_once(tmp_path: Path, server: MirrorServer, rootfs: bytes) -> None:
    lines: list[str] = []
    server.keep = 0.5
    closed = "http://127.0.0.1:9/"
    file = RemoteFile(ROOTFS_NAME, sha512(rootfs).hexdigest())
    with pytest.raises(Unavailable):
        fetch(file, (server.url, closed, f"{server.url}nothing/"), tmp_path, lines.append)
    assert [line.split(":")[0] for line in lines[::2]] == ["downloading http"] * 3
    assert [line.partition(":")[0] for line in lines[1::2]] == ["that failed"] * 3
    reasons = ("truncated", "Connection refused", "HTTP 404")
    assert all(reason in line for reason, line in zip(reasons, lines[1::2], strict=True))
    server.keep = 1.0
    lines.clear()
    assert fetch(file, (closed, server.url), tmp_path, lines.append) == rootfs
    assert len(lines) == 3 and lines[-1] == f"downloading {server.url}{ROOTFS_NAME}"


def test_silent_mirror_is_given_up(tmp_path: Path, rootfs: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        write_recipe(tmp_path, rootfs, [f"http://127.0.0.1:{listener.getsockname()[1]}/"])
        with pytest.raises(ImageError, match="no answer within"):
            images.build_image("tiny")


def test_file_larger_than_the_limit_is_refused(
    tmp_path: Path, mirror: Path, rootfs: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "SIZE_LIMIT", 16)
    with pytest.raises(Unavailable, match="more than"):
        fetch(RemoteFile(ROOTFS_NAME, "0" * 128), (mirror.as_uri(),), tmp_path / "d", lambda line: None)


def test_environment_mirror_goes_first_as_address_or_path(
    tmp_path: Path, server: MirrorServer, mirror: Path, rootfs: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in (str(mirror), mirror.as_uri(), mirror.as_uri() + "/"):
        monkeypatch.setenv("GLASSBOX_IMAGE_MIRROR", value)
        assert order_mirrors(("https://a.invalid/x",)) == (mirror.as_uri() + "/", "https://a.invalid/x/")
    write_recipe(tmp_path, rootfs, [server.url])
    images.build_image("tiny")
    assert server.asked == []
    monkeypatch.setenv("GLASSBOX_IMAGE_MIRROR", "~/mirror")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert order_mirrors(()) == (mirror.as_uri() + "/",)


def test_http_mirror_serves_checked_files_but_no_unchecked_ones(
    tmp_path: Path, server: MirrorServer, mirror: Path, rootfs: bytes
) -> None:
    write_recipe(tmp_path, rootfs, [server.url, mirror.as_uri()])
    images.build_image("tiny")
    assert server.asked == [f"/alpine/{ROOTFS_NAME}"]


def test_kept_download_is_checked_again(tmp_path: Path, server: MirrorServer, rootfs: bytes) -> None:
    file, folder = RemoteFile(ROOTFS_NAME, sha512(rootfs).hexdigest()), tmp_path / "d"
    for _ in range(2):
        assert fetch(file, (server.url,), folder, lambda line: None) == rootfs
    assert len(server.asked) == 1
    next(folder.iterdir()).write_bytes(b"rotten")
    assert fetch(file, (server.url,), folder, lambda line: None) == rootfs
    assert len(server.asked) == 2


def test_a_mirror_of_odd_files_is_passed_over_and_one_of_links_serves(
    tmp_path: Path, mirror: Path, rootfs: bytes
) -> None:
    """A FIFO would be waited for without end."""
    odd, links = tmp_path / "odd", tmp_path / "links"
    odd.mkdir()
    links.mkdir()
    os.mkfifo(odd / ROOTFS_NAME)
    (links / ROOTFS_NAME).symlink_to(mirror / ROOTFS_NAME)
    write_recipe(tmp_path, rootfs, [odd.as_uri(), links.as_uri(), mirror.as_uri()])
    assert images.build_image("tiny").initrd.is_file()
    write_recipe(tmp_path, rootfs, [odd.as_uri()], name="worse")
    for path in (images.cache_folder() / "downloads").iterdir():
        path.unlink()
    with pytest.raises(ImageError, match="not a regular file"):
        images.build_image("worse")
