"""Built images are found again, and old or damaged ones are not."""

from __future__ import annotations

import time
from pathlib import Path

from images_samples import write_recipe

from qemu_bridge import images


def test_built_image_is_found_quickly_and_needs_no_mirror(tmp_path: Path, mirror: Path, rootfs: bytes) -> None:
    write_recipe(tmp_path, rootfs, [mirror.as_uri()])
    built = images.build_image("tiny")
    mirror.rename(tmp_path / "gone")
    lines: list[str] = []
    started = time.process_time()
    assert images.build_image("tiny", progress=lines.append) == built
    assert time.process_time() - started < 0.05
    assert lines == []


def test_old_builds_leave_the_cache(tmp_path: Path, mirror: Path, rootfs: bytes) -> None:
    for number in range(5):
        write_recipe(tmp_path, rootfs, [mirror.as_uri()], head=f"# {number}")
        images.build_image("tiny")
    assert len(list((images.cache_folder() / "built").iterdir())) == 3
    assert images.find_image("tiny") is not None


def test_damaged_build_is_not_found_and_is_built_anew(tmp_path: Path, mirror: Path, rootfs: bytes) -> None:
    write_recipe(tmp_path, rootfs, [mirror.as_uri()])
    built = images.build_image("tiny")
    built.initrd.write_bytes(b"short")
    assert images.find_image("tiny") is None
    assert images.build_image("tiny").initrd.stat().st_size > 5
    (built.initrd.parent / "image.json").write_text("[]")
    assert images.find_image("tiny") is None
