"""The verb ``image``: list, build, path."""

from __future__ import annotations

import argparse

from ..errors import ImageError
from .options import Verbs, add_json, add_verb, print_json, print_lines, print_rows, say


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verbs to the parser."""
    parser = verbs.add_parser(
        "image", help="List, build and locate guest images.", description="List, build and locate guest images."
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add_json(add_verb(actions, "list", list_images, "glassbox image list"))
    build = add_verb(actions, "build", build_one, "glassbox image build alpine")
    path = add_verb(actions, "path", image_path, "glassbox image path alpine")
    for each in (build, path):
        each.add_argument("image", metavar="IMAGE", help="a recipe of 'glassbox image list'")
        add_json(each)


def list_images(options: argparse.Namespace) -> None:
    """List the recipes and which of them are built."""
    from ..images import find_image, iter_recipes, load_recipe

    rows = []
    for name in iter_recipes():
        built = find_image(name)
        state = f"built, kernel {built.kernel_release}" if built else "not built"
        rows.append({"name": name, "state": state, "description": load_recipe(name).description})
    print_rows(rows, ("name", "state", "description"), options.json)


def build_one(options: argparse.Namespace) -> None:
    """Build an image, or find it built already, and print where it is."""
    from ..images import build_image

    built = build_image(options.image, progress=say)
    if options.json:
        print_json(
            {
                "name": built.name,
                "kernel": str(built.kernel),
                "initrd": str(built.initrd),
                "command_line": built.command_line,
                "image_id": built.image_id,
            }
        )
    else:
        print_lines(f"{built.kernel}\n{built.initrd}")


def image_path(options: argparse.Namespace) -> None:
    """Print the kernel and the initramfs of an image that is built."""
    from ..images import find_image

    if find_image(options.image) is None:
        raise ImageError(f"image {options.image!r} is not built; build it with 'glassbox image build {options.image}'")
    build_one(options)
