"""Recipes: what a guest image is made of, as a TOML file.

A recipe ``NAME.toml`` is in the user's folder ``$XDG_CONFIG_HOME/glassbox/images`` (searched first) or in
the folder that comes with Glass Box::

    description = "one line"
    mirrors = ["https://…/", "file:///…/"]      # folders that hold the files named below
    fallback = "other-recipe"                   # when no mirror has the root file system
    command_line = "console=ttyS0 …"            # of the kernel
    programs = ["gpu-submit"]                   # folders of C beside the recipes, compiled into the guest

    [rootfs]
    file = "….tar.gz"                           # a tar on the mirrors, with its sha512
    sha512 = "…"                                # … or: packages = ["busybox-static"], from Debian

    [kernel]
    providers = ["alpine", "debian", "file"]    # tried in this order
    file = "netboot/vmlinuz-virt"               # alpine: on the mirrors; sha512 may be left out
    packages = ["linux-image-cloud-amd64"]      # debian: metapackages, tried in this order
    path = "/boot/vmlinuz"                      # file: on this machine
    modules = ["loop"]                          # loaded at boot where the kernel's package has them
    virtio_modules = ["virtio_pci"]             # … in a guest that has a virtio device, before those below
    network_modules = ["virtio_net"]            # … in a guest that is on a network
    gpu_modules = ["virtio_console"]            # … in a guest that has a share of a GPU

The guest's ``init`` is the file beside the recipe, or the one that comes with Glass Box.
"""

from __future__ import annotations

import os
import re
import sysconfig
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias, TypeVar

from ..errors import ImageError, UsageError
from ..host.folders import config_folder
from .programs import sources

Table: TypeAlias = Mapping[str, object]
"""A table of a TOML file."""
Value = TypeVar("Value")
Default = TypeVar("Default")

PROVIDERS = ("alpine", "debian", "file")
DEFAULT_COMMAND_LINE = "console=ttyS0"


KERNEL_VARIABLE = "GLASSBOX_KERNEL"
"""Names a kernel file that overrides the recipe's providers."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file on a mirror: its path below the mirror's address, and its SHA-512 in hex where it is known."""

    path: str
    sha512: str | None = None

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What one guest image is made of.

    Attributes:
        rootfs: tar of the root file system on the mirrors, None for an image made of packages.
        rootfs_packages: Debian packages whose files make up the root file system instead.
        mirrors: addresses of folders, in the order tried.
        fallback: recipe to take when no mirror has `rootfs`.
        kernel_providers: names out of `PROVIDERS`, in the order tried.
        init: the guest's first program.
        programs: folders of C programs that the guest gets (`programs`).
        digest: hex hash of the recipe's text, of `init` and of the programs.
    """

    name: str
    description: str
    rootfs: RemoteFile | None
    rootfs_packages: tuple[str, ...]
    mirrors: tuple[str, ...]
    fallback: str | None
    command_line: str
    kernel_providers: tuple[str, ...]
    kernel_file: RemoteFile | None
    kernel_packages: tuple[str, ...]
    kernel_path: str | None
    kernel_modules: tuple[str, ...]
    virtio_modules: tuple[str, ...]
    network_modules: tuple[str, ...]
    gpu_modules: tuple[str, ...]
    programs: tuple[Path, ...]
    init: bytes
    digest: str

    def module_folders(self) -> dict[str, tuple[str, ...]]:
        """Modules by the folder from which the guest's init loads them, in its order."""
        return {
            "glassbox": self.kernel_modules,
            "glassbox-virtio": self.virtio_modules,
            "glassbox-network": self.network_modules,
            "glassbox-gpu": self.gpu_modules,
        }


def shipped_folder() -> Path:
    """The folder of recipes that comes with Glass Box: in a source checkout, else in the installed data."""
    checkout = Path(__file__).resolve().parents[2] / "images"
    return checkout if (checkout / "init").is_file() else Path(sysconfig.get_path("data")) / "share/glassbox/images"


def recipe_folders() -> tuple[Path, ...]:
    """Folders that hold recipes, the user's own first."""
    return config_folder() / "images", shipped_folder()


def chosen_kernel() -> Path | None:
    """The kernel file that ``GLASSBOX_KERNEL`` names, None without it."""
    value = os.environ.get(KERNEL_VARIABLE, "").strip()
    return Path(value).expanduser().absolute() if value else None


def iter_recipes() -> list[str]:
    """Names of all recipes, sorted."""
    return sorted({path.stem for folder in recipe_folders() for path in folder.glob("*.toml")})


def load_recipe(name: str) -> Recipe:
    """The recipe `name`; `UsageError` when there is none, `ImageError` when its file is invalid."""
    for folder in recipe_folders():
        path = folder / f"{name}.toml"
        if re.fullmatch(r"[\w.+-]+", name) and path.is_file():
            return _read_recipe(name, path)
    raise UsageError(f"there is no image {name!r}; try one of {', '.join(iter_recipes()) or 'your own recipe'}")


def _read_recipe(name: str, path: Path) -> Recipe:
    try:
        text = path.read_bytes()
        own_init = path.with_name("init")
        init = (own_init if own_init.is_file() else shipped_folder() / "init").read_bytes()
        table = tomllib.loads(text.decode())
        programs = tuple(_find_program(name, path.parent) for name in _words(table, "programs"))
        digest = sha256(len(text).to_bytes(8, "big") + text + init)
        for source in (source for folder in programs for source in sources(folder)):
            digest.update(source.name.encode() + sha256(source.read_bytes()).digest())
        return _to_recipe(name, table, programs, init, digest.hexdigest())
    except OSError as error:
        reason = f"{error.strerror}: {error.filename}"
        raise ImageError(f"recipe {path} cannot be read ({reason}); restore the file") from None
    except ValueError as error:
        raise ImageError(f"recipe {path} is invalid ({error}); correct the file") from None


def _find_program(name: str, beside: Path) -> Path:
    for folder in (beside, shipped_folder()):
        if re.fullmatch(r"[a-z][a-z0-9-]*", name) and (folder / name).is_dir():
            return folder / name
    raise ValueError(f"there is no folder of a program {name!r} beside the recipes")


def _to_recipe(name: str, table: Table, programs: tuple[Path, ...], init: bytes, digest: str) -> Recipe:
    rootfs, kernel = _value(table, "rootfs", dict, {}), _value(table, "kernel", dict, {})
    recipe = Recipe(
        name=name,
        description=_value(table, "description", str, ""),
        rootfs=_remote_file(rootfs),
        rootfs_packages=_words(rootfs, "packages"),
        mirrors=_words(table, "mirrors"),
        fallback=_value(table, "fallback", str, None),
        command_line=" ".join(_value(table, "command_line", str, DEFAULT_COMMAND_LINE).split()),
        kernel_providers=_words(kernel, "providers") or PROVIDERS,
        kernel_file=_remote_file(kernel),
        kernel_packages=_words(kernel, "packages"),
        kernel_path=_value(kernel, "path", str, None),
        kernel_modules=_words(kernel, "modules"),
        virtio_modules=_words(kernel, "virtio_modules"),
        network_modules=_words(kernel, "network_modules"),
        gpu_modules=_words(kernel, "gpu_modules"),
        programs=programs,
        init=init,
        digest=digest,
    )
    if (recipe.rootfs is None) == (not recipe.rootfs_packages):
        raise ValueError("[rootfs] needs either a file or packages")
    if recipe.rootfs and recipe.rootfs.sha512 is None:
        raise ValueError("[rootfs] file needs its sha512")
    if unknown := set(recipe.kernel_providers) - set(PROVIDERS):
        raise ValueError(f"[kernel] providers are {', '.join(PROVIDERS)}, not {', '.join(sorted(unknown))}")
    return recipe


def _value(table: Table, key: str, kind: type[Value], default: Default) -> Value | Default:
    value = table.get(key)
    if value is None:
        return default
    if not isinstance(value, kind):
        raise ValueError(f"{key} must be a {kind.__name__}")
    return value


def _words(table: Table, key: str) -> tuple[str, ...]:
    values = _value(table, key, list, [])
    words = tuple(value for value in values if isinstance(value, str) and value)
    if len(words) < len(values):
        raise ValueError(f"{key} must be a list of strings")
    return words


def _remote_file(table: Table) -> RemoteFile | None:
    path, sha512 = _value(table, "file", str, None), _value(table, "sha512", str, None)
    if path is None:
        return None
    if path.startswith("/") or ".." in path.split("/") or not path.rsplit("/", 1)[-1]:
        raise ValueError(f"file {path!r} must be a path below the mirror's address")
    if sha512 is not None and not re.fullmatch(r"[0-9a-f]{128}", sha512):
        raise ValueError("sha512 must be 128 lower-case hexadecimal digits")
    return RemoteFile(path, sha512)
