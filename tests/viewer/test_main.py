"""``python -m viewer``: wrong words are one line and an exit status."""

from __future__ import annotations

import subprocess
import sys

import pytest

from viewer.__main__ import main
from viewer.parser import build_parser


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["snap", "no-such-machine", "-o", "x.png"], 2),
        (["snap", "no-such-machine", "-o", "x.png", "--size", "0x0"], 2),
        (["view", "no-such-machine"], 2),
        (["record-video", "no-such-machine", "-o", "x.mp4", "--fps", "0"], 2),
        (["snap", "no-such-machine", "-o", "/nowhere/at/all.png"], 1),
    ],
)
def test_wrong_words_are_one_line_on_stderr(words, status, capsys):
    assert main(words) == status
    written = capsys.readouterr()
    assert written.err.startswith("glassbox: ")
    assert len(written.err.splitlines()) == 1
    assert not written.out


def test_every_option_is_explained():
    text = build_parser().format_help()
    assert "snap" in text
    assert "view" in text


def test_the_package_is_light_until_it_draws():
    code = "import viewer, viewer.__main__, sys; print([m for m in ('wgpu', 'PIL', 'glfw', 'qemu_bridge.client') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60).stdout.strip() == "[]"
    )
