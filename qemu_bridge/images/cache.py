"""The cache of guest images: a folder for each, with kernel, initramfs and a note of what they are.

``$XDG_CACHE_HOME/glassbox/images`` holds::

    downloads/          checked downloads
    built/NAME-KEY/     kernel, initrd, image.json; vmlinuz as well where it was unpacked to `kernel`
    lock                held while something is built

KEY is a hash of all that decides the result before anything is fetched: the recipe (which has the checksums of its
inputs), `init`, its programs, the builder's own version and the kernel that ``GLASSBOX_KERNEL`` names. A finished folder is put in
place with one rename, so it is complete or absent; finding one reads one small file.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ..host import folders
from .programs import find_compiler
from .recipe import Recipe, chosen_kernel, load_recipe

BUILDER_VERSION = 1
"""Counts up when the same recipe gives another image."""


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """A guest image on this machine.

    Attributes:
        kernel: what QEMU's ``-kernel`` takes: a PVH vmlinux where possible.
        initrd: the initramfs, for ``-initrd``.
        command_line: for ``-append``.
        kernel_release: as ``uname -r`` prints it in the guest.
        image_id: short hash of kernel, initramfs and command line.
        bzimage: the kernel as the distribution ships it, which boots with KASLR; None when there is none.
    """

    name: str
    kernel: Path
    initrd: Path
    command_line: str
    kernel_release: str
    image_id: str
    bzimage: Path | None = None


def cache_folder() -> Path:
    """The folder that holds downloads and built images."""
    return folders.cache_folder("images")


def find_image(name: str) -> BuiltImage | None:
    """Image `name` if it is built already, None otherwise; fetches nothing. `UsageError` for an unknown name."""
    return find_built(load_recipe(name))


def image_key(recipe: Recipe) -> str:
    """The key of the image that `recipe` makes now: 16 hex digits of everything that decides the result."""
    parts = [str(BUILDER_VERSION), recipe.digest]
    if recipe.programs and find_compiler() is None:
        parts.append("without programs")
    if (path := chosen_kernel()) is not None:
        with contextlib.suppress(OSError):
            status = path.stat()
            parts += [str(path), str(status.st_size), str(status.st_mtime_ns)]
        parts.append(str(path))
    return sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def image_folder(recipe: Recipe) -> Path:
    """The cache folder of the image that `recipe` makes now; it may not exist."""
    return cache_folder() / "built" / f"{recipe.name}-{image_key(recipe)}"


def find_built(recipe: Recipe) -> BuiltImage | None:
    """The image of `recipe` if it is built, None otherwise."""
    folder = image_folder(recipe)
    try:
        note = json.loads((folder / "image.json").read_bytes())
        if any((folder / name).stat().st_size != size for name, size in note["sizes"].items()):
            return None
        return BuiltImage(
            name=recipe.name,
            kernel=folder / "kernel",
            initrd=folder / "initrd",
            command_line=recipe.command_line,
            kernel_release=str(note["kernel_release"]),
            image_id=str(note["image_id"]),
            bzimage=folder / str(note["bzimage"]) if note["bzimage"] else None,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
