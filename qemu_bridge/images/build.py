"""Building a guest image, once: a folder in the cache with kernel, initramfs and a note of what they are.

``$XDG_CACHE_HOME/glassbox/images`` holds::

    downloads/          checked downloads
    built/NAME-KEY/     kernel, initrd, image.json; vmlinuz as well where it was unpacked to `kernel`
    lock                held while something is built

KEY is a hash of all that decides the result before anything is fetched: the recipe (which has the checksums of its
inputs), `init`, the builder's own version and the kernel that ``GLASSBOX_KERNEL`` names. A finished folder is put in
place with one rename, so it is there whole or not at all; finding one again reads one small file.
"""

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
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ..errors import ImageError
from .fetch import MIRROR_VARIABLE, Progress, Unavailable, fetch
from .initramfs import Tree, compress, read_tar
from .packages import fetch_package, iter_package_files
from .providers import KERNEL_VARIABLE, Kernel, chosen_kernel, find_kernel
from .recipe import Recipe, load_recipe

BUILDER_VERSION = 1
"""Counts up when the same recipe gives another image."""
KEPT_BUILDS = 3
"""Builds of one image that stay in the cache."""

_log = logging.getLogger(__name__)
_FALLBACK_TRUST_S = 3600.0


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """A guest image on this machine.

    Attributes:
        kernel: what QEMU's ``-kernel`` takes: a PVH vmlinux where possible.
        initrd: the initramfs, for ``-initrd``.
        command_line: for ``-append``.
        kernel_release: as ``uname -r`` tells it in the guest.
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
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "glassbox" / "images"


def find_image(name: str) -> BuiltImage | None:
    """Image `name` if it is built already, None otherwise; nothing is fetched. `UsageError` for an unknown name."""
    return _find(load_recipe(name))


def build_image(name: str, *, progress: Progress = lambda line: None) -> BuiltImage:
    """Image `name`, built now unless it is there; `progress` gets a line for each step that takes time.

    Raises `UsageError` for an unknown name, `ImageError` when a part cannot be had from anywhere or is not right.
    """
    recipe = load_recipe(name)
    if (found := _find(recipe)) is not None:
        return found
    with _reported(recipe):
        return _build(recipe, progress)


def build_image_or_fallback(name: str, *, progress: Progress = lambda line: None) -> BuiltImage:
    """Image `name`, or its recipe's fallback when no mirror has the root file system; the result's name tells which.

    `progress` gets one line that says so. A mirror that sends something else than it should is an `ImageError`, not a
    reason to fall back. Mirrors that had nothing are left alone for an hour, unless ``GLASSBOX_IMAGE_MIRROR`` is set.
    """
    recipe = load_recipe(name)
    if (found := _find(recipe)) is not None:
        return found
    missed = cache_folder() / f"missed-{_key(recipe)}"
    with _reported(recipe):
        if recipe.fallback and not os.environ.get(MIRROR_VARIABLE) and _is_recent(missed):
            progress(f"image {name}: no mirror had it within the last hour; using {recipe.fallback} instead")
            return build_image(recipe.fallback, progress=progress)
        try:
            return _build(recipe, progress)
        except _NoRootfsError as error:
            if recipe.fallback is None or error.refused:
                raise
            progress(f"image {name}: {error}; using {recipe.fallback} instead")
        missed.touch()
        return build_image(recipe.fallback, progress=progress)


class _NoRootfsError(Unavailable):
    """The root file system is what is missing."""


@contextlib.contextmanager
def _reported(recipe: Recipe) -> Iterator[None]:
    """Turn what went wrong into an `ImageError` that says what to try."""
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
        raise ImageError(f"image {recipe.name} cannot be stored ({reason}); free or open that place") from None


def _key(recipe: Recipe) -> str:
    parts = [str(BUILDER_VERSION), recipe.digest]
    if (path := chosen_kernel()) is not None:
        with contextlib.suppress(OSError):
            status = path.stat()
            parts += [str(path), str(status.st_size), str(status.st_mtime_ns)]
        parts.append(str(path))
    return sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _folder(recipe: Recipe) -> Path:
    return cache_folder() / "built" / f"{recipe.name}-{_key(recipe)}"


def _find(recipe: Recipe) -> BuiltImage | None:
    folder = _folder(recipe)
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


def _build(recipe: Recipe, progress: Progress) -> BuiltImage:
    with _locked(progress):
        # Another process may have built it while this one waited.
        if (found := _find(recipe)) is not None:
            return found
        started = time.monotonic()
        downloads = cache_folder() / "downloads"
        tree = _read_rootfs(recipe, downloads, progress)
        kernel = find_kernel(recipe, downloads, progress)
        _furnish(tree, recipe, kernel)
        progress(f"building image {recipe.name} with kernel {kernel.release} from {kernel.source}")
        _store(recipe, kernel, compress(tree.to_cpio()))
        _log.info("built image %s in %.1f s", recipe.name, time.monotonic() - started)
    image = _find(recipe)
    if image is None:
        raise ImageError(f"image {recipe.name} was built and is gone; is {cache_folder()} being emptied? Try again")
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


def _furnish(tree: Tree, recipe: Recipe, kernel: Kernel) -> None:
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
    for number, (name, content) in enumerate(kernel.modules.items()):
        tree.add_file(f"lib/modules/{kernel.release}/glassbox/{number:02}-{name}.ko", content)


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
    _replace_folder(_folder(recipe), files)
    _prune(recipe.name)


def _replace_folder(folder: Path, files: dict[str, bytes]) -> None:
    """Make `folder` hold `files`, whole or not at all."""
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
    """Hold the cache's lock; whoever holds it may sweep away what a killed build left."""
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
