"""A mirror with a small root file system and a kernel, as a folder and over HTTP; folders of the test's own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from images_samples import ROOTFS_NAME, MirrorServer, make_bzimage, make_tar, make_vmlinux


@pytest.fixture(autouse=True)
def private_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("GLASSBOX_IMAGE_MIRROR", raising=False)
    monkeypatch.delenv("GLASSBOX_KERNEL", raising=False)


@pytest.fixture
def rootfs() -> bytes:
    return make_tar({"./bin/busybox": b"#!busybox", "./etc/motd": b"hello\n"}, links={"./bin/sh": "/bin/busybox"})


@pytest.fixture
def mirror(tmp_path: Path, rootfs: bytes) -> Path:
    folder = tmp_path / "mirror"
    (folder / "netboot").mkdir(parents=True)
    (folder / ROOTFS_NAME).write_bytes(rootfs)
    (folder / "netboot" / "vmlinuz").write_bytes(make_bzimage(make_vmlinux(), "zstd"))
    return folder


@pytest.fixture
def server(mirror: Path) -> Iterator[MirrorServer]:
    with MirrorServer(mirror) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
