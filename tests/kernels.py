"""Kernels of many releases for tests: Debian's cloud kernels, out of all its suites, each as an image of the same Alpine.

apt gets a configuration of its own (`images.suites`), so that nothing is installed and the machine's own lists stay as they are.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from unittest import mock

import pytest

from qemu_bridge.errors import ImageError
from qemu_bridge.images import BuiltImage, build_image
from qemu_bridge.images.fetch import Unavailable
from qemu_bridge.images.suites import read_suites

RELEASES = ("6.17", "6.18", "6.19", "7.0", "7.1", "7.2", "7.3")
"""Besides 6.1 and 6.12, which have images of their own."""
IN_SHORT_RUNS = ("6.17", "7.3")
"""Those of them that short runs have too: the ends."""
_SUITES = ("trixie", "trixie-backports", "sid")


def build_kernel_image(release: str, folder: Path) -> BuiltImage:
    """The image of Alpine on the newest cloud kernel of `release`; skips where no archive has one.

    apt's lists go to `folder`, the image to the cache.
    """
    try:
        configuration = read_suites(_SUITES, folder, lambda line: None)
    except Unavailable as error:
        pytest.skip(str(error))
    with mock.patch.dict(os.environ, {"APT_CONFIG": str(configuration)}):
        package = _find_package(release)
        recipe = (Path(__file__).parents[1] / "images" / "alpine-612.toml").read_text()
        recipe = re.sub(r"^packages = .*$", f'packages = ["{package}"]', recipe, flags=re.MULTILINE)
        recipes = folder / "config" / "glassbox" / "images"
        recipes.mkdir(parents=True, exist_ok=True)
        (recipes / f"alpine-{release}.toml").write_text(recipe)
        with mock.patch.dict(os.environ, {"XDG_CONFIG_HOME": str(folder / "config")}):
            try:
                return build_image(f"alpine-{release}")
            except ImageError as error:
                pytest.skip(str(error))


def _find_package(release: str) -> str:
    """The newest kernel package of `release`."""
    pattern = re.compile(rf"linux-(?:image|binary)-({re.escape(release)}\.\d+)\S*-cloud-amd64")
    names = subprocess.run(
        ["apt-cache", "pkgnames", "linux-"], capture_output=True, text=True, check=True
    ).stdout.split()
    found = {name: match[1] for name in names if (match := pattern.fullmatch(name))}
    images = [name for name in found if name.startswith("linux-image-")] or list(found)
    if not images:
        pytest.skip(f"Debian has no kernel of release {release} now")
    return max(images, key=lambda name: (int(found[name].rpartition(".")[2]), name))
