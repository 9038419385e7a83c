"""Kernels of many releases for tests: Debian's cloud kernels, out of all its suites, each as an image of the same Alpine.

apt gets a configuration of its own (`APT_CONFIG`), with the mirror that this machine uses and all suites on it, so that
nothing is installed and the machine's own lists stay as they are.
"""

from __future__ import annotations

import os
import re
import subprocess
import urllib.parse
from pathlib import Path
from unittest import mock

import pytest

from qemu_bridge.errors import ImageError
from qemu_bridge.images import BuiltImage, build_image

RELEASES = ("6.17", "6.18", "6.19", "7.0", "7.1", "7.2", "7.3")
"""Besides 6.1 and 6.12, which have images of their own."""
IN_SHORT_RUNS = ("6.17", "7.3")
"""Those of them that short runs have too: the ends."""
_SUITES = ("trixie", "trixie-backports", "sid")
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_PARTS = "lists/partial", "cache/archives/partial"


def build_kernel_image(release: str, folder: Path) -> BuiltImage:
    """The image of Alpine on the newest cloud kernel of `release`; skips where no archive has one.

    apt's lists go to `folder`, the image to the cache.
    """
    with mock.patch.dict(os.environ, {"APT_CONFIG": str(_apt_configuration(folder))}):
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


def _apt_configuration(folder: Path) -> Path:
    """The configuration, made and with its lists fetched the first time."""
    configuration = folder / "apt.conf"
    if configuration.exists():
        return configuration
    mirror = _debian_mirror()
    if mirror is None or not _KEYRING.exists():
        pytest.skip("no Debian mirror is known on this machine")
    for part in _PARTS:
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "sources.list").write_text(
        "".join(f"deb [signed-by={_KEYRING}] {mirror} {suite} main\n" for suite in _SUITES)
    )
    (folder / "status").touch()
    draft = folder / "draft.conf"
    draft.write_text(
        f'Dir::State::lists "{folder}/lists";\nDir::Cache "{folder}/cache";\nDir::State::status "{folder}/status";\n'
        f'Dir::Etc::sourcelist "{folder}/sources.list";\nDir::Etc::sourceparts "/dev/null";\n'
        'APT::Architecture "amd64";\nAcquire::Languages "none";\nAcquire::Retries "1";\nAPT::Sandbox::User "root";\n'
    )
    done = subprocess.run(
        ["apt-get", "update", "-qq"], env=os.environ | {"APT_CONFIG": str(draft)}, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"apt cannot read the lists of {mirror}: {done.stderr.strip()[-200:]}")
    return draft.rename(configuration)


def _debian_mirror() -> str | None:
    """The address that this machine fetches Debian from."""
    for path in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]:
        text = path.read_text() if path.is_file() else ""
        for address in re.findall(r"(https?://\S+/debian)/?(?:\s|$)", re.sub(r"(?m)^\s*#.*$", "", text)):
            if urllib.parse.urlsplit(address).hostname:
                return str(address)
    return None


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
