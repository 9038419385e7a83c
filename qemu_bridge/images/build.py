"""Building a guest image: fetch its parts, assemble them, store them in the cache atomically."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from ..errors import ImageError
from .cache import BuiltImage, cache_folder, find_built, find_image, image_folder, image_key
from .fetch import MIRROR_VARIABLE, Progress, Unavailable, fetch
from .initramfs import Tree, compress, read_tar
from .packages import fetch_package, iter_package_files
from .programs import ProgramError, build_program
from .providers import Kernel, find_kernel
from .recipe import KERNEL_VARIABLE, Recipe, load_recipe

KEPT_BUILDS = 3
"""Builds of one image that stay in the cache."""

_log = logging.getLogger(__name__)
_FALLBACK_TRUST_S = 3600.0


def build(name: str, progress: Progress) -> BuiltImage:
    """Build image `name`; `progress` gets a line for each step that takes time.

    Raises `UsageError` for an unknown name, `ImageError` when a part is unavailable everywhere or invalid.
    """
    recipe = load_recipe(name)
    with _reported(recipe):
        return _build(recipe, progress)


def build_or_fallback(name: str, progress: Progress) -> BuiltImage:
    """Build image `name`, or its recipe's fallback when no mirror has the root file system.

    `progress` gets one line that says so. A mirror that sends wrong content is an `ImageError`, not a
    reason to fall back. Mirrors that had nothing are not asked again for an hour, unless ``GLASSBOX_IMAGE_MIRROR`` is set.
    """
    recipe = load_recipe(name)
    missed = cache_folder() / f"missed-{image_key(recipe)}"
    with _reported(recipe):
        if recipe.fallback and not os.environ.get(MIRROR_VARIABLE) and _is_recent(missed):
            progress(f"image {name}: no mirror had it within the last hour; using {recipe.fallback} instead")
            return _find_or_build(recipe.fallback, progress)
        try:
            return _build(recipe, progress)
        except _NoRootfsError as error:
            if recipe.fallback is None or error.refused:
                raise
            progress(f"image {name}: {error}; using {recipe.fallback} instead")
        missed.touch()
        return _find_or_build(recipe.fallback, progress)


def _find_or_build(name: str, progress: Progress) -> BuiltImage:
    return find_image(name) or build(name, progress)


class _NoRootfsError(Unavailable):
    """The root file system is unavailable, not another part."""


@contextlib.contextmanager
def _reported(recipe: Recipe) -> Iterator[None]:
    """Turn errors of the body into an `ImageError` that says what to try."""
    try:
        yield
    except _NoRootfsError as error:
        advice = f"set {MIRROR_VARIABLE} to a folder or address that has it"
        if recipe.rootfs_packages:
            advice = "run `apt-get update` as root"
        elif recipe.fallback:
            advice += f", or take image {recipe.fallback}"
        raise ImageError(f"image {recipe.name} has no root file system: {error}; {advice}") from None
    except Unavailable as error:
        advice = f"run `apt-get update` as root, or set {KERNEL_VARIABLE} to a kernel file"
        raise ImageError(f"image {recipe.name} has no kernel: {error}; {advice}") from None
    except OSError as error:
        reason = f"{error.strerror}: {error.filename or cache_folder()}"
        raise ImageError(
            f"image {recipe.name} cannot be stored ({reason}); free space there, or make it writable"
        ) from None


def _build(recipe: Recipe, progress: Progress) -> BuiltImage:
    with _locked(progress):
        # Another process may have built it while this one waited.
        if (found := find_built(recipe)) is not None:
            return found
        started = time.monotonic()
        downloads = cache_folder() / "downloads"
        tree = _read_rootfs(recipe, downloads, progress)
        kernel = find_kernel(recipe, downloads, progress)
        _add_system_files(tree, recipe, kernel)
        _add_programs(tree, recipe, progress)
        progress(f"building image {recipe.name} with kernel {kernel.release} from {kernel.source}")
        _store(recipe, kernel, compress(tree.to_cpio()))
        _log.info("built image %s in %.1f s", recipe.name, time.monotonic() - started)
    image = find_built(recipe)
    if image is None:
        raise ImageError(
            f"image {recipe.name} was built and has disappeared; is {cache_folder()} being emptied? try again"
        )
    return image


def _read_rootfs(recipe: Recipe, downloads: Path, progress: Progress) -> Tree:
    try:
        if recipe.rootfs is not None:
            return read_tar(fetch(recipe.rootfs, recipe.mirrors, downloads, progress), recipe.rootfs.name)
        tree = Tree()
        for name in recipe.rootfs_packages:
            for path, content in iter_package_files(fetch_package(name, downloads, progress), _is_program):
                tree.add_file(path, content, 0o755)
        return tree
    except Unavailable as error:
        raise _NoRootfsError(str(error), error.refused) from None
    except ValueError as error:
        raise _NoRootfsError(str(error), refused=True) from None


def _is_program(path: str) -> bool:
    return path.removeprefix("usr/").startswith(("bin/", "sbin/"))


def _add_system_files(tree: Tree, recipe: Recipe, kernel: Kernel) -> None:
    """Add what every guest needs: init, a console to open, a shell, accounts, the kernel's modules."""
    for path in ("bin", "sbin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "usr/bin", "usr/sbin"):
        if path not in tree:
            tree.add(path, stat.S_IFDIR | 0o755)
    tree.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    tree.add_file("init", recipe.init, 0o755)
    # A package with merged folders puts busybox in usr/bin; init looks for it in bin.
    if "bin/busybox" not in tree and "usr/bin/busybox" in tree:
        tree.add("bin/busybox", stat.S_IFLNK | 0o777, b"/usr/bin/busybox")
    if "bin/sh" not in tree:
        if "bin/busybox" not in tree:
            raise _NoRootfsError("it has neither bin/sh nor busybox", refused=True)
        tree.add("bin/sh", stat.S_IFLNK | 0o777, b"/bin/busybox")
    for path, text in _ACCOUNTS.items():
        if path not in tree:
            tree.add_file(path, text.encode())
    tree.add_file("etc/hostname", b"glassbox\n")
    for folder, names in recipe.module_folders().items():
        for number, name in enumerate(name.replace("-", "_") for name in names):
            if name in kernel.modules:
                tree.add_file(f"lib/modules/{kernel.release}/{folder}/{number:02}-{name}.ko", kernel.modules[name])


def _add_programs(tree: Tree, recipe: Recipe, progress: Progress) -> None:
    for folder in recipe.programs:
        try:
            for file in build_program(folder):
                tree.add_file(file.path, file.content, file.permissions)
        except ProgramError as error:
            progress(f"image {recipe.name} goes without {folder.name}: {error}")


_ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
}


def _store(recipe: Recipe, kernel: Kernel, initrd: bytes) -> None:
    files = {"kernel": kernel.boot, "initrd": initrd}
    bzimage = None
    if kernel.bzimage is not None:
        bzimage = "kernel" if kernel.bzimage is kernel.boot else "vmlinuz"
        files[bzimage] = kernel.bzimage
    digest = sha256(recipe.command_line.encode())
    for content in (kernel.boot, initrd):
        digest.update(sha256(content).digest())
    note = {
        "name": recipe.name,
        "kernel_release": kernel.release,
        "kernel_source": kernel.source,
        "image_id": digest.hexdigest()[:12],
        "bzimage": bzimage,
        "sizes": {name: len(content) for name, content in files.items()},
    }
    files["image.json"] = json.dumps(note, indent=2).encode() + b"\n"
    _replace_folder(image_folder(recipe), files)
    _prune(recipe.name)


def _replace_folder(folder: Path, files: dict[str, bytes]) -> None:
    """Replace `folder` by one with these `files`, atomically."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".part-"))
    try:
        for name, content in files.items():
            (part / name).write_bytes(content)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _prune(name: str) -> None:
    builds = [path for path in (cache_folder() / "built").glob(f"{name}-*") if len(path.name) == len(name) + 17]
    for path in sorted(builds, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT_BUILDS:]:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _locked(progress: Progress) -> Iterator[None]:
    """Hold the cache's lock; its holder may remove what a killed build left."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another build to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        for left in folder.glob("*/.part-*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        yield


def _is_recent(path: Path) -> bool:
    try:
        return 0 <= time.time() - path.stat().st_mtime < _FALLBACK_TRUST_S
    except OSError:
        return False
