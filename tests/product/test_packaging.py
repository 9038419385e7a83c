"""The wheel holds what an installed glassbox needs."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from qemu_bridge import __version__

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as found:
        yield found


@pytest.mark.parametrize(
    "pattern",
    [
        "qemu_bridge/**/*.py",
        "viewer/**/*.py",
        "viewer/**/*.wgsl",
        "qemu_bridge/gateway/page/*.*",
        "gpu_device/*.py",
        "tcg_plugin/**/*.py",
        "*/py.typed",
    ],
)
def test_every_file_of_the_packages_is_in_the_wheel(wheel, pattern):
    there = set(wheel.namelist())
    sources = {str(path.relative_to(ROOT)) for path in ROOT.glob(pattern)}
    assert sources and sources <= there


def test_recipes_and_init_travel_along(wheel):
    data = f"glassbox_qemu-{__version__}.data/data/share/glassbox/images/"
    files = {
        path.relative_to(ROOT / "images")
        for path in (ROOT / "images").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {f"{data}{path}" for path in files} <= set(wheel.namelist())


def test_the_wheel_brings_the_command_and_nothing_of_the_tests(wheel):
    names = wheel.namelist()
    assert (
        "glassbox = qemu_bridge.cli:main"
        in wheel.read(f"glassbox_qemu-{__version__}.dist-info/entry_points.txt").decode()
    )
    assert not [name for name in names if name.startswith(("tests/", "bench/", "docs/"))]
