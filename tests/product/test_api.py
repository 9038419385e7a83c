"""The API page: it is current, and ``__all__`` is what a package offers."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("tcg_plugin", "gpu_device", "gpu_hypervisor", "pixel_cpu", "qemu_bridge", "viewer")
_SPEC = importlib.util.spec_from_file_location("make_api", ROOT / "docs/make_api.py")
make_api = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(make_api)


def parse(path):
    return ast.parse(path.read_text())


def modules():
    """Every module's path. Trees of them all are 150 MB, which each worker of a run would keep: a test parses its own."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield pytest.param(path, id=str(path.relative_to(ROOT)))


MODULES = list(modules())
FRONTS = [module for module in MODULES if module.values[0].name == "__init__.py"]
DECLARED = [module for module in MODULES if make_api.declared_names(parse(module.values[0])) is not None]


def used_names(tree):
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def test_the_page_is_current():
    assert (ROOT / "docs/api.md").read_text() == make_api.make_page(), "run 'just docs'"


def test_the_page_has_every_module():
    page = make_api.make_page()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            if parts[-1] != "__main__" and name not in ("qemu_bridge",):
                assert f"### `{name}`\n" in page


@pytest.mark.parametrize("path", FRONTS)
def test_a_front_that_offers_names_of_its_modules_declares_them(path):
    tree = parse(path)
    offered = set(make_api.imported_names(tree)) - used_names(tree)
    assert not offered or make_api.declared_names(tree) is not None


@pytest.mark.parametrize("path", DECLARED)
def test_all_is_what_is_defined_or_offered(path):
    tree = parse(path)
    declared, defined = make_api.declared_names(tree), make_api.defined_names(tree)
    assert len(set(declared)) == len(declared)
    assert set(defined) <= set(declared)
    if path.name == "__init__.py":
        assert set(make_api.imported_names(tree)) - used_names(tree) <= set(declared)
    parts = path.relative_to(ROOT).with_suffix("").parts
    module = importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    assert all(hasattr(module, name) for name in declared)


@pytest.mark.parametrize("path", MODULES)
def test_every_public_class_and_function_has_a_docstring(path):
    tree = parse(path)
    public = make_api.public_names(tree)
    nodes = [node for node in tree.body if isinstance(node, make_api.Definition) and node.name in public]
    assert not [node.name for node in nodes if not ast.get_docstring(node)]
