"""Providers of kernels: each returns a kernel or says why it has none.

``alpine`` takes the file that the recipe names from the mirrors; ``debian`` the kernel of a distribution's own signed
package, Debian's or Ubuntu's; ``file`` one on this machine. ``GLASSBOX_KERNEL`` names a file that overrides them all.
"""

from __future__ import annotations

import gzip
import lzma
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import zstandard

from .fetch import SIZE_LIMIT, Progress, Unavailable, fetch
from .kernel import extract_vmlinux, has_pvh_entry, has_types, is_bzimage, is_elf, read_release
from .packages import fetch_package, iter_package_files, resolve_kernel_packages
from .recipe import KERNEL_VARIABLE, Recipe, chosen_kernel

_KERNEL = re.compile(r"boot/vmlinuz-[^/]+|(?:usr/)?lib/modules/[^/]+/vmlinuz")
_MODULE = re.compile(r"(?:usr/)?lib/modules/[^/]+/(?:.*/)?([^/]+)\.ko(?:\.(gz|xz|zst))?")


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel ready to boot.

    Attributes:
        boot: what QEMU loads: the vmlinux where it has a PVH entry, else the bzImage.
        bzimage: the bzImage as it was shipped, None when a vmlinux was given.
        release: as ``uname -r`` prints it.
        modules: ELF modules by name, in the order of loading.
        source: where it came from, for messages.
    """

    boot: bytes
    bzimage: bytes | None
    release: str
    source: str
    modules: Mapping[str, bytes] = field(default_factory=dict)


def find_kernel(recipe: Recipe, folder: Path, progress: Progress) -> Kernel:
    """The kernel from the first provider of `recipe` that has a usable one; `Unavailable` with each one's reason.

    Skips kernels without types, unless ``GLASSBOX_KERNEL`` asks for it.
    """
    if (path := chosen_kernel()) is not None:
        kernel = _read_kernel_file(path)
        if not has_types(_unpacked(kernel)):
            progress(f"{path} carries no BTF types, so its processes and most of its pages stay unnamed")
        return kernel
    reasons = []
    for name in recipe.kernel_providers:
        try:
            kernel = _PROVIDERS[name](recipe, folder, progress)
            if not has_types(_unpacked(kernel)):
                raise Unavailable(f"{kernel.source} carries no BTF types")
            return kernel
        except Unavailable as error:
            reasons.append(f"{name}: {error}")
    raise Unavailable("; ".join(reasons))


def to_kernel(image: bytes, source: str, modules: Mapping[str, bytes] | None = None) -> Kernel:
    """The kernel in the bytes of a bzImage or vmlinux; `Unavailable` when they are neither."""
    modules = modules or {}
    if is_elf(image):
        if not has_pvh_entry(image):
            raise Unavailable(f"{source} is a vmlinux without a PVH entry")
        return Kernel(image, None, read_release(image), source, modules)
    if not is_bzimage(image):
        raise Unavailable(f"{source} is neither a bzImage nor a 64-bit vmlinux")
    try:
        vmlinux = extract_vmlinux(image)
    except ValueError as error:
        raise Unavailable(f"{source}: {error}") from None
    return Kernel(vmlinux if has_pvh_entry(vmlinux) else image, image, read_release(image), source, modules)


def _unpacked(kernel: Kernel) -> bytes:
    return kernel.boot if is_elf(kernel.boot) else extract_vmlinux(kernel.boot)


def _from_mirror(recipe: Recipe, folder: Path, progress: Progress) -> Kernel:
    if recipe.kernel_file is None:
        raise Unavailable("the recipe names no kernel file")
    return to_kernel(fetch(recipe.kernel_file, recipe.mirrors, folder, progress), recipe.kernel_file.name)


def _from_package(recipe: Recipe, folder: Path, progress: Progress) -> Kernel:
    names = resolve_kernel_packages(recipe.kernel_packages)
    image, found = b"", dict[str, bytes]()
    wanted = tuple(dict.fromkeys(name for names in recipe.module_folders().values() for name in names))
    for name in names:
        package = fetch_package(name, folder, progress)
        progress(f"unpacking the kernel of package {name}")
        for path, content in iter_package_files(package, lambda path: _is_wanted(path, wanted)):
            if (match := _MODULE.fullmatch(path)) is not None:
                found[_module_name(match[1])] = _unpack_module(content, match[2])
            else:
                image = content
    if not image:
        raise Unavailable(f"package {names[0]} holds no vmlinuz")
    modules = {name: found[name] for name in map(_module_name, wanted) if name in found}
    return to_kernel(image, f"package {names[0]}", modules)


def _from_file(recipe: Recipe, folder: Path, progress: Progress) -> Kernel:
    if recipe.kernel_path is None:
        raise Unavailable(f"neither {KERNEL_VARIABLE} nor the recipe names a file")
    return _read_kernel_file(Path(recipe.kernel_path).expanduser())


_PROVIDERS: dict[str, Callable[[Recipe, Path, Progress], Kernel]] = {
    "alpine": _from_mirror,
    "debian": _from_package,
    "file": _from_file,
}


def _read_kernel_file(path: Path) -> Kernel:
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise Unavailable(f"kernel {path} is larger than {SIZE_LIMIT >> 20} MiB")
        return to_kernel(path.read_bytes(), str(path))
    except OSError as error:
        raise Unavailable(f"kernel {path}: {error.strerror}") from None


def _is_wanted(path: str, modules: tuple[str, ...]) -> bool:
    if (match := _MODULE.fullmatch(path)) is not None:
        return _module_name(match[1]) in map(_module_name, modules)
    return _KERNEL.fullmatch(path) is not None


def _module_name(name: str) -> str:
    # The kernel itself makes no difference between the two.
    return name.replace("-", "_")


def _unpack_module(content: bytes, ending: str | None) -> bytes:
    try:
        match ending:
            case "gz":
                return gzip.decompress(content)
            case "xz":
                return lzma.decompress(content)
            case "zst":
                return zstandard.ZstdDecompressor().decompressobj().decompress(content)
            case _:
                return content
    except (OSError, EOFError, lzma.LZMAError, zstandard.ZstdError) as error:
        raise Unavailable(f"a kernel module is damaged ({error})") from None
