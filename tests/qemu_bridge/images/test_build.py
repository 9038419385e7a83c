"""Images are built from a recipe, the same each time, and fall back where a part cannot be fetched."""

from __future__ import annotations

import fcntl
import io
import os
import tarfile
import threading
from pathlib import Path

import pytest
from images_samples import ROOTFS_NAME, make_tar, make_vmlinux, write_recipe

from qemu_bridge import images
from qemu_bridge.errors import ImageError
from qemu_bridge.images.fetch import Unavailable, fetch
from qemu_bridge.images.initramfs import read_tar

# As they are outside the tests, for the one test of the real root file system.
REAL_MIRROR, REAL_CACHE = os.environ.get("GLASSBOX_IMAGE_MIRROR", ""), images.cache_folder()


def test_image_is_built_from_a_folder_and_found_again(tmp_path: Path, mirror: Path, rootfs: bytes) -> None:
    write_recipe(tmp_path, rootfs, [mirror.as_uri()])
    assert images.find_image("tiny") is None
    lines: list[str] = []
    built = images.build_image("tiny", progress=lines.append)
    assert images.find_image("tiny") == built
    assert built.kernel.read_bytes() == make_vmlinux() and built.bzimage is not None
    assert built.bzimage.read_bytes() == (mirror / "netboot" / "vmlinuz").read_bytes()
    assert built.kernel_release == "6.9.0-sample" and built.command_line == "console=ttyS0 quiet"
    assert any(ROOTFS_NAME in line for line in lines)


def test_two_builds_of_the_same_recipe_are_equal_to_the_byte(tmp_path: Path, mirror: Path, rootfs: bytes) -> None:
    write_recipe(tmp_path, rootfs, [mirror.as_uri()])
    first = images.build_image("tiny")
    initrd = first.initrd.read_bytes()
    os.environ["XDG_CACHE_HOME"] += "-2"
    second = images.build_image("tiny")
    assert second.initrd.read_bytes() == initrd and second.image_id == first.image_id
    assert second.initrd != first.initrd


def test_another_init_or_recipe_gives_another_image(tmp_path: Path, mirror: Path, rootfs: bytes) -> None:
    write_recipe(tmp_path, rootfs, [mirror.as_uri()])
    first = images.build_image("tiny")
    (tmp_path / "config" / "glassbox" / "images" / "init").write_bytes(b"#!/bin/sh\n# other\n")
    assert images.find_image("tiny") is None
    assert images.build_image("tiny").image_id != first.image_id


def test_missing_root_file_system_falls_back_and_says_so_in_one_line(
    tmp_path: Path, mirror: Path, rootfs: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = (tmp_path / "nowhere").as_uri()
    write_recipe(tmp_path, rootfs, [nowhere], head='fallback = "other"')
    write_recipe(tmp_path, rootfs, [mirror.as_uri()], name="other")
    lines: list[str] = []
    assert images.build_image_or_fallback("tiny", progress=lines.append).name == "other"
    assert sum("using other instead" in line and nowhere in line for line in lines) == 1
    lines.clear()
    assert images.build_image_or_fallback("tiny", progress=lines.append).name == "other"
    assert len(lines) == 1 and "last hour" in lines[0]
    monkeypatch.setenv("GLASSBOX_IMAGE_MIRROR", str(mirror))
    assert images.build_image_or_fallback("tiny").name == "tiny"
    with pytest.raises(ImageError, match="take image other"):
        monkeypatch.delenv("GLASSBOX_IMAGE_MIRROR")
        write_recipe(tmp_path, rootfs, [nowhere], head='fallback = "other" # again')
        for path in (images.cache_folder() / "downloads").iterdir():
            path.unlink()
        images.build_image("tiny")


def test_tampered_root_file_system_is_no_reason_to_fall_back(tmp_path: Path, mirror: Path, rootfs: bytes) -> None:
    (mirror / ROOTFS_NAME).write_bytes(b"something else")
    write_recipe(tmp_path, rootfs, [mirror.as_uri()], head='fallback = "other"')
    with pytest.raises(ImageError, match="wrong checksum"):
        images.build_image_or_fallback("tiny")


def test_tar_that_is_no_root_file_system_is_an_image_error(tmp_path: Path, mirror: Path) -> None:
    for rootfs, reason in ((b"not a tar", "not a usable tar"), (make_tar({"a": b""}), "neither bin/sh nor busybox")):
        (mirror / ROOTFS_NAME).write_bytes(rootfs)
        write_recipe(tmp_path, rootfs, [mirror.as_uri()])
        with pytest.raises(ImageError, match=reason):
            images.build_image("tiny")


def test_build_waits_for_another_and_sweeps_what_a_killed_one_left(tmp_path: Path, mirror: Path, rootfs: bytes) -> None:
    write_recipe(tmp_path, rootfs, [mirror.as_uri()])
    folder = images.cache_folder()
    (folder / "built" / ".part-dead").mkdir(parents=True)
    (folder / "downloads").mkdir()
    (folder / "downloads" / ".part-dead").write_bytes(b"half")
    waiting = threading.Event()
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread = threading.Thread(
            target=images.build_image, args=("tiny",), kwargs={"progress": lambda _: waiting.set()}
        )
        thread.start()
        assert waiting.wait(10) and images.find_image("tiny") is None
        fcntl.flock(lock, fcntl.LOCK_UN)
    thread.join(10)
    assert images.find_image("tiny") is not None
    assert not list(folder.rglob(".part-*"))


def test_cache_that_cannot_be_written_is_an_image_error(
    tmp_path: Path, mirror: Path, rootfs: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_recipe(tmp_path, rootfs, [mirror.as_uri()])
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ImageError, match="cannot be stored"):
        images.build_image("tiny")


def test_alpine_as_published_becomes_a_tree_with_busybox(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = images.load_recipe("alpine")
    assert recipe.rootfs is not None
    monkeypatch.setenv("GLASSBOX_IMAGE_MIRROR", REAL_MIRROR)
    try:
        content = fetch(recipe.rootfs, (), REAL_CACHE / "downloads", lambda line: None)
    except Unavailable:
        pytest.skip("no Alpine mirror on this machine")
    tree = read_tar(content, recipe.rootfs.name)
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        assert {member.name.removeprefix("./") for member in tar} - {"."} <= {*tree}
    assert tree["bin/busybox"].content.startswith(b"\x7fELF") and tree["bin/sh"].content == b"/bin/busybox"
