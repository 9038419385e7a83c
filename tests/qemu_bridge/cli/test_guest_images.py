"""The verb image: what is listed, and what of an image is printed."""

from __future__ import annotations

import json
from pathlib import Path


def test_every_recipe_is_listed_with_whether_it_is_built(image, command):
    shown, rows = command("image", "list"), json.loads(command("image", "list", "--json").out)
    assert shown.status == 0 and len(shown.out.splitlines()) == 1 + len(rows)
    states = {row["name"]: row["state"] for row in rows}
    assert states[image.name] == f"built, kernel {image.kernel_release}" and all(row["description"] for row in rows)


def test_the_path_of_a_built_image_is_its_kernel_and_its_initramfs(image, command):
    shown = command("image", "path", image.name)
    assert shown.status == 0 and shown.out.splitlines() == [str(image.kernel), str(image.initrd)]
    assert all(Path(line).is_file() for line in shown.out.splitlines())


def test_building_what_is_built_says_the_same_as_its_path(image, command):
    built, found = (json.loads(command("image", verb, image.name, "--json").out) for verb in ("build", "path"))
    assert built == found and built["image_id"] == image.image_id and built["command_line"] == image.command_line


def test_the_path_of_an_image_that_is_not_built_says_how_to_build_it(command, monkeypatch):
    monkeypatch.setattr("qemu_bridge.images.find_image", lambda name: None)
    answer = command("image", "path", "alpine")
    assert answer.status and "glassbox image build alpine" in answer.err and not answer.out
