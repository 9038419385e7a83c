"""A wheel that is built where there is a compiler brings the plugin, and its sources."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tcg_plugin import build

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_the_wheel_holds_the_compiled_libraries_and_their_sources(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    wheel = next(tmp_path.glob("*.whl"))
    assert "linux" in wheel.name
    with zipfile.ZipFile(wheel) as found:
        names = set(found.namelist())
        for name in build.SOURCES:
            assert {f"tcg_plugin/{path.name}" for path in build.sources(name)} <= names
            assert found.read(f"tcg_plugin/{name}.so") == build.find_library(name).read_bytes()


def test_a_wheel_without_a_compiler_goes_without(tmp_path):
    answer = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": "/nowhere", "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)},
    )
    wheel = next(tmp_path.glob("*.whl"))
    assert "goes without" in answer.stdout + answer.stderr and wheel.name.endswith("none-any.whl")
