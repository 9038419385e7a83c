"""The package's front: every name is there, and nothing is loaded before it is named."""

from __future__ import annotations

import subprocess
import sys

import pytest

import pixel_cpu


def loaded_by(program):
    """Which of these packages a program loads."""
    heavy = ("numpy", "pixel_cpu.frontends.wasm", "pixel_cpu.wasi", "wgpu")
    code = f"import sys; {program}; print([name for name in {heavy} if name in sys.modules])"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_every_name_is_at_the_front():
    assert all(callable(getattr(pixel_cpu, name)) for name in pixel_cpu.__all__)
    assert {*pixel_cpu.__all__} <= {*dir(pixel_cpu)}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        pixel_cpu.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("program", "loads"),
    [
        ("import pixel_cpu", []),
        ("from pixel_cpu import load", ["numpy"]),
        ("from pixel_cpu import wasm", ["numpy", "pixel_cpu.frontends.wasm"]),
        ("from pixel_cpu.gpu_run import make_parser; make_parser()", []),
    ],
)
def test_nothing_is_loaded_before_it_is_named(program, loads):
    assert loaded_by(program) == str(loads)
