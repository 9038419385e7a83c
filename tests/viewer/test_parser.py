"""The arguments of the verbs that draw: declared once, passed on without loss."""

from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

from viewer.parser import ARGUMENTS, add_arguments, build_parser, spell


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("snap", []),
        ("snap", ["-o", "a b.png", "--size", "64x64", "--camera", "yaw=-3", "--order", "7", "--json"]),
        ("view", ["--at", "mode=owner", "--after", "0", "--frames", "0", "--screenshot", "x.png"]),
        ("record-video", ["-o", "-odd.mp4", "--script", "-", "--seconds", "0.5", "--fps", "60", "--against", "before"]),
    ],
)
def test_what_is_spelled_again_means_the_same(verb, words):
    if "-odd.mp4" in words:
        words = ["--output=-odd.mp4", *words[2:]]
    parser = argparse.ArgumentParser()
    add_arguments(parser, verb)
    options = parser.parse_args(words)
    again = build_parser().parse_args([verb, "demo", *spell(verb, options)])
    assert {**vars(options), "verb": verb, "name": "demo", "others": []} == vars(again)


def test_the_old_spelling_of_the_view_still_works_and_help_says_so():
    for verb in ARGUMENTS:
        parser = argparse.ArgumentParser()
        add_arguments(parser, verb)
        assert "--camera is the old spelling" in " ".join(parser.format_help().split())
    assert build_parser().parse_args(["snap", "demo", "--camera", "yaw=3"]).at == "yaw=3"


def test_help_loads_nothing_that_draws_or_computes():
    code = (
        "import sys, qemu_bridge.cli; qemu_bridge.cli.make_parser().format_help(); "
        "print([m for m in ('numpy', 'wgpu', 'PIL', 'glfw') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert answer.stdout.strip() == "[]"
