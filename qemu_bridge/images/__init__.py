"""Guest images: a kernel and an initramfs, built once from a recipe and cached.

>>> image = build_image("alpine", progress=print)
>>> image.kernel, image.initrd, image.command_line      # what QEMU's -kernel, -initrd and -append take

`recipe` reads the recipes and `cache` finds what is built. `build` makes what is not: `fetch` gets files from mirrors,
`packages` from Debian's archive and `suites` from its other suites, `kernel` and `providers` find and unpack the kernel,
`initramfs` packs the root file system.
"""

from __future__ import annotations

from collections.abc import Callable

from .cache import BuiltImage, cache_folder, find_image
from .recipe import Recipe, iter_recipes, load_recipe, recipe_folders

__all__ = [
    "BuiltImage",
    "Recipe",
    "build_image",
    "build_image_or_fallback",
    "cache_folder",
    "find_image",
    "iter_recipes",
    "load_recipe",
    "recipe_folders",
]


def build_image(name: str, *, progress: Callable[[str], None] = lambda line: None) -> BuiltImage:
    """Image `name`, built now unless it is cached; `progress` gets a line for each step that takes time.

    Raises `UsageError` for an unknown name, `ImageError` when a part is unavailable everywhere or invalid.
    """
    if (found := find_image(name)) is not None:
        return found
    # Imported only to build: loading mirror and archive clients takes longer than finding a built image.
    from .build import build

    return build(name, progress)


def build_image_or_fallback(name: str, *, progress: Callable[[str], None] = lambda line: None) -> BuiltImage:
    """Image `name`, or its recipe's fallback when no mirror has the root file system; the result's name says which.

    Raises as `build_image` does; `progress` gets one line that says what is used instead.
    """
    if (found := find_image(name)) is not None:
        return found
    # Imported only to build, as in `build_image`.
    from .build import build_or_fallback

    return build_or_fallback(name, progress)
