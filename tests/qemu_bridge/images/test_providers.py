"""Where a kernel comes from."""

from __future__ import annotations

from pathlib import Path

import pytest
from images_samples import make_bzimage, make_vmlinux, write_recipe

from qemu_bridge import images
from qemu_bridge.errors import ImageError


def test_chosen_kernel_wins_over_the_providers(
    tmp_path: Path, mirror: Path, rootfs: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_recipe(tmp_path, rootfs, [mirror.as_uri()])
    ordinary = images.build_image("tiny")
    own = tmp_path / "own-vmlinux"
    own.write_bytes(make_vmlinux(release="7.0.0-own"))
    monkeypatch.setenv("GLASSBOX_KERNEL", str(own))
    assert images.find_image("tiny") is None
    built = images.build_image("tiny")
    assert built.kernel_release == "7.0.0-own" and built.bzimage is None
    own.write_bytes(b"nonsense")
    with pytest.raises(ImageError, match="neither a bzImage nor"):
        images.build_image("tiny")
    monkeypatch.setenv("GLASSBOX_KERNEL", str(tmp_path / "none"))
    with pytest.raises(ImageError, match="No such file"):
        images.build_image("tiny")
    monkeypatch.delenv("GLASSBOX_KERNEL")
    assert images.find_image("tiny") == ordinary


def test_kernel_without_types_is_passed_over_with_its_reason(tmp_path: Path, mirror: Path, rootfs: bytes) -> None:
    (mirror / "netboot" / "vmlinuz").write_bytes(make_bzimage(make_vmlinux(types=False), "gzip"))
    write_recipe(tmp_path, rootfs, [mirror.as_uri()])
    with pytest.raises(ImageError, match=r"alpine: vmlinuz carries no BTF.*GLASSBOX_KERNEL") as caught:
        images.build_image("tiny")
    assert "\n" not in str(caught.value)
