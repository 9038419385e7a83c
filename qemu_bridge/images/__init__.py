"""Guest images: a kernel and an initramfs made from a recipe, once, and kept in the cache.

>>> image = build_image("alpine", progress=print)
>>> image.kernel, image.initrd, image.command_line      # what QEMU's -kernel, -initrd and -append take

`recipe` reads the recipes, `fetch` gets files from mirrors, `packages` from Debian's archive, `kernel` and `providers`
find and unpack the kernel, `initramfs` packs the root file system, `build` does it all and keeps the result.
"""

from __future__ import annotations

from .build import BuiltImage, build_image, build_image_or_fallback, cache_folder, find_image
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
