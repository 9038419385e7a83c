"""Tests mirror packages: a test file lies where the module that it tests lies, and every module with code has one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
NOT_MIRRORED = ("bench", "product")
"""Folders of tests about the repository as a whole, and about programs beside the packages."""
PACKAGES = ("gpu_device", "gpu_hypervisor", "pixel_cpu", "qemu_bridge", "tcg_plugin", "viewer")


def all_test_files() -> list[Path]:
    found = (path.relative_to(TESTS) for path in sorted(TESTS.rglob("test_*.py")))
    return [TESTS / path for path in found if path.parts[0] not in NOT_MIRRORED]


def is_module(path: Path) -> bool:
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def mirrored(test: Path) -> Path | None:
    """The module or package that a test file is about; None where there is none.

    ``tests/a/b/test_c.py`` and ``tests/a/b/test_c_aspect.py`` are about ``a/b/c.py``, the package ``a/b/c`` or the C source
    or header ``a/b/c``, and ``tests/a/b/test_b.py`` is about the package ``a/b``.
    """
    relative = test.relative_to(TESTS)
    words = relative.stem.removeprefix("test_").split("_")
    folder = ROOT / relative.parent
    for count in range(len(words), 0, -1):
        name = "_".join(words[:count])
        for path in (folder / name, folder / f"__{name}__"):
            if is_module(path) or any(path.with_suffix(suffix).is_file() for suffix in (".c", ".h")):
                return path
        if name == folder.name and is_module(folder):
            return folder
    return None


def modules_with_code() -> Iterator[Path]:
    """Modules that define a function or a class, without their suffix."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            body = ast.parse(path.read_text()).body
            if any(isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) for node in body):
                yield path.parent if path.name == "__init__.py" else path.with_suffix("")


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).parts)


@pytest.mark.parametrize("test", all_test_files(), ids=lambda path: str(path.relative_to(TESTS)))
def test_a_test_file_lies_where_its_module_lies(test):
    assert mirrored(test), (
        f"{test.relative_to(ROOT)} is about no module; name it after one, or move it beside its tests"
    )


def test_every_module_with_code_has_a_test_file():
    tested = {mirrored(test) for test in all_test_files()}
    missing = [name_of(path) for path in modules_with_code() if path not in tested]
    assert not missing
