"""Recipes: those that ship, and what is wrong with others."""

from __future__ import annotations

from pathlib import Path

import pytest

from qemu_bridge import images
from qemu_bridge.errors import ImageError


def test_the_recipes_that_ship_are_listed_and_load() -> None:
    assert {"alpine", "alpine-612", "debian-busybox"} <= set(images.iter_recipes())
    alpine, debian = images.load_recipe("alpine"), images.load_recipe("debian-busybox")
    assert alpine.rootfs is not None and alpine.rootfs.sha512 is not None and len(alpine.mirrors) >= 2
    assert alpine.fallback == "debian-busybox" and debian.rootfs is None and debian.mirrors == ()
    assert alpine.init == debian.init and alpine.init.startswith(b"#!/bin/sh\n")
    assert alpine.network_modules[-1] == debian.network_modules[-1] == "virtio_net"
    newer = images.load_recipe("alpine-612")
    assert newer.rootfs == alpine.rootfs and newer.kernel_packages != alpine.kernel_packages


@pytest.mark.parametrize(
    "text, reason",
    [
        ("x = ", "Invalid value"),
        ("mirrors = 3\n[rootfs]\npackages = ['a']", "mirrors must be a list"),
        ("[rootfs]", "either a file or packages"),
        ("[rootfs]\nfile = 'a.tar'", "needs its sha512"),
        ("[rootfs]\nfile = 'a.tar'\nsha512 = 'abc'", "128 lower-case"),
        ("[rootfs]\nfile = '../a.tar'", "below the mirror"),
        ("[rootfs]\npackages = ['a']\n[kernel]\nproviders = ['ftp']", "not ftp"),
    ],
)
def test_recipe_that_is_not_right_is_named_with_its_mistake(tmp_path: Path, text: str, reason: str) -> None:
    folder = tmp_path / "config" / "glassbox" / "images"
    folder.mkdir(parents=True)
    (folder / "bad.toml").write_text(text)
    with pytest.raises(ImageError, match=reason) as caught:
        images.load_recipe("bad")
    assert "bad.toml" in str(caught.value)
