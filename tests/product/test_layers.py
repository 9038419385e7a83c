"""The house stands: imports go down the floors only, and a light import stays light."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

FLOORS = (
    ("tcg_plugin",),
    (
        "qemu_bridge.errors",
        "qemu_bridge.memory.addresses",
        "qemu_bridge.wire.records",
        "qemu_bridge.wire.connection",
        "qemu_bridge.host.tasks",
        "qemu_bridge.host.plain_file",
        "qemu_bridge.host.printable",
    ),
    (
        "qemu_bridge.memory.ram",
        "qemu_bridge.memory.dirty",
        "qemu_bridge.memory.paging",
        "qemu_bridge.kernel.budget",
        "qemu_bridge.kernel.objects",
        "qemu_bridge.kernel.maple",
        "qemu_bridge.kernel.modules",
        "qemu_bridge.kernel.symbols",
        "qemu_bridge.images",
        "qemu_bridge.machine.config",
        "qemu_bridge.daemon.backends.started",
        "qemu_bridge.machine.launch",
        "qemu_bridge.machine.monitor",
        "qemu_bridge.machine.agent",
        "qemu_bridge.daemon.backends.attached",
        "qemu_bridge.wire.page_map",
        "qemu_bridge.captures.capture",
        "qemu_bridge.captures.compare",
        "qemu_bridge.client",
        "qemu_bridge.trace",
    ),
    (
        "qemu_bridge.kernel.volatility_adapter",
        "qemu_bridge.kernel.columns",
        "qemu_bridge.kernel.memmap",
        "qemu_bridge.introspection.classes",
        "qemu_bridge.introspection.targets",
        "qemu_bridge.introspection.overlays",
        "qemu_bridge.introspection.questions",
    ),
    ("qemu_bridge.daemon.service", "qemu_bridge.daemon"),
    ("viewer",),
    ("qemu_bridge.cli",),
)
VIEWER_MAY_USE = {"addresses", "client", "compare", "dirty", "errors", "page_map", "printable", "protocol", "ram"}


def floor_of(module: str) -> int:
    """The floor of the longest listed prefix of `module`; the bare package is as low as its errors."""
    if module == "qemu_bridge":
        return 0
    for number, prefixes in enumerate(FLOORS):
        if any(module == prefix or module.startswith(prefix + ".") for prefix in prefixes):
            return number
    raise AssertionError(f"{module} stands on no floor; give it one in FLOORS")


def source_files() -> Iterator[Path]:
    for package in ("tcg_plugin", "qemu_bridge", "viewer"):
        yield from sorted((ROOT / package).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path) -> Iterator[str]:
    """Absolute names of our own modules that `path` imports, anywhere in it."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            rooms = [f"{stem}.{alias.name}" for alias in node.names if is_module(f"{stem}.{alias.name}")]
            names = rooms if len(rooms) == len(node.names) else [stem, *rooms]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] in ("tcg_plugin", "qemu_bridge", "viewer"))


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


@pytest.mark.parametrize("path", list(source_files()), ids=module_name)
def test_imports_go_down_the_floors(path):
    own = module_name(path)
    for name in imported_modules(path):
        neighbours = floor_of(name) == floor_of(own) and name.split(".")[0] == own.split(".")[0]
        assert floor_of(name) < floor_of(own) or neighbours, (
            f"{own} (floor {floor_of(own)}) imports {name} (floor {floor_of(name)})"
        )


def test_no_module_imports_itself_by_way_of_others():
    # `static_order` raises CycleError with the modules of a cycle.
    graph = {module_name(path): set(imported_modules(path)) - {module_name(path)} for path in source_files()}
    for package in ("qemu_bridge", "viewer", "tcg_plugin"):
        # Importing from a package's front names its rooms, which import their neighbours from it.
        graph = {
            name: {other for other in others if other != package} for name, others in graph.items() if name != package
        }
    tuple(graphlib.TopologicalSorter(graph).static_order())


def test_the_viewer_uses_public_rooms_of_the_bridge_only():
    for path in sorted((ROOT / "viewer").rglob("*.py")):
        for name in imported_modules(path):
            if name.startswith("qemu_bridge."):
                assert name.split(".")[1] in VIEWER_MAY_USE, f"{module_name(path)} imports {name}"


@pytest.mark.parametrize("module", ["qemu_bridge", "qemu_bridge.client", "qemu_bridge.memory.ram"])
def test_a_light_import_loads_neither_volatility_nor_wgpu(module):
    program = (
        f"import sys, {module}; print([name for name in ('volatility3', 'wgpu', 'qemu.qmp') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_every_module_has_a_test_file_of_its_name_or_its_rooms():
    tests = {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    for path in source_files():
        room = path.parent.name
        names = (
            {f"test_{path.stem}"}
            if room in ("tcg_plugin", "qemu_bridge", "viewer")
            else {f"test_{path.stem}", f"test_{room}"}
        )
        if path.stem == "__init__" and room in ("tcg_plugin", "qemu_bridge", "viewer"):
            continue
        names = {name.replace("test___main__", "test_main") for name in names}
        assert names & tests, f"{module_name(path)} has no test file; write tests/test_{path.stem}.py"
