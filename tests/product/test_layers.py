"""Layering: imports go down only, a light import stays light, and a test lies where the module it tests lies."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

LAYERS = {
    "tcg_plugin": 0,
    "qemu_bridge.errors": 10,
    "qemu_bridge.host": 11,
    "qemu_bridge.memory": 20,
    "qemu_bridge.images": 20,
    "qemu_bridge.dumps": 25,
    "qemu_bridge.wire": 30,
    "qemu_bridge.kernel": 40,
    "qemu_bridge.trace.calls": 42,
    "qemu_bridge.trace.file": 40,
    "qemu_bridge.trace.recording": 43,
    "qemu_bridge.trace.analysis": 41,
    "qemu_bridge.trace.counters": 41,
    "qemu_bridge.trace.export": 42,
    "qemu_bridge.machine": 50,
    "qemu_bridge.introspection": 51,
    "gpu_device": 50,
    "pixel_cpu.errors": 55,
    "pixel_cpu.ir": 56,
    "pixel_cpu.passes": 57,
    "pixel_cpu.frontends": 58,
    "pixel_cpu.backends": 58,
    "pixel_cpu.runtime": 59,
    "pixel_cpu.kernels": 60,
    "pixel_cpu.lane_host": 60,
    "pixel_cpu.wasi": 60,
    "pixel_cpu.benchmark": 61,
    "pixel_cpu.verify": 59,
    "pixel_cpu.learn": 61,
    "pixel_cpu.supervisor": 61,
    "pixel_cpu": 62,
    "pixel_cpu.gpu_run": 63,
    "gpu_hypervisor.errors": 70,
    "gpu_hypervisor.scheduler": 71,
    "gpu_hypervisor.memory": 71,
    "gpu_hypervisor.admission": 71,
    "gpu_hypervisor.simulation": 72,
    "gpu_hypervisor.vms": 72,
    "gpu_hypervisor.engine": 73,
    "gpu_hypervisor.advice": 74,
    "gpu_hypervisor.channel": 74,
    "gpu_hypervisor.service": 75,
    "gpu_hypervisor": 76,
    "qemu_bridge.client": 60,
    "qemu_bridge.network": 65,
    "qemu_bridge.captures": 70,
    "qemu_bridge.timeline": 70,
    "qemu_bridge.daemon": 80,
    "qemu_bridge.gateway": 80,
    "qemu_bridge.dashboard": 85,
    "viewer.sources": 90,
    "viewer.view": 91,
    "viewer.render": 92,
    "viewer.picture": 93,
    "viewer.app": 94,
    "viewer": 95,
    "qemu_bridge.cli": 100,
}
"""A row for each package: it may import what has a lower number, and itself."""

PACKAGES = sorted({row.split(".")[0] for row in LAYERS})
VIEWER_MAY_USE = ("client", "wire", "memory", "captures", "network", "errors", "host")
"""Of the bridge: what stands behind a machine is the daemon's business."""


def row_of(module: str) -> str:
    """The row that `module` belongs to: the longest prefix of it; the bare package is its front and imports nothing."""
    rows = [row for row in LAYERS if module == row or module.startswith(row + ".")]
    assert rows or module in ("qemu_bridge", "qemu_bridge.trace"), f"{module} has no layer; give its package a row"
    return max(rows, key=len, default="tcg_plugin")


def source_files() -> Iterator[Path]:
    for package in PACKAGES:
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
            modules = [f"{stem}.{alias.name}" for alias in node.names if is_module(f"{stem}.{alias.name}")]
            names = modules if len(modules) == len(node.names) else [stem, *modules]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] in PACKAGES)


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


@pytest.mark.parametrize("path", list(source_files()), ids=module_name)
def test_imports_go_down_the_layers(path):
    own = row_of(module_name(path))
    for name in imported_modules(path):
        other = row_of(name)
        assert other == own or LAYERS[other] < LAYERS[own], (
            f"{module_name(path)} (layer {LAYERS[own]}) imports {name} (layer {LAYERS[other]})"
        )


def test_every_row_is_a_package_that_exists():
    assert all(is_module(row) for row in LAYERS)


def test_no_module_imports_itself_by_way_of_others():
    # `static_order` raises CycleError with the modules of a cycle.
    graph = {module_name(path): set(imported_modules(path)) - {module_name(path)} for path in source_files()}
    for package in PACKAGES:
        # Importing from a package's front names its modules, which import their neighbours from it.
        graph = {
            name: {other for other in others if other != package} for name, others in graph.items() if name != package
        }
    tuple(graphlib.TopologicalSorter(graph).static_order())


def test_the_viewer_uses_the_clients_side_of_the_bridge_only():
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


def test_a_daemon_starts_qemu_before_it_loads_what_serves_the_machine():
    """Each of them would lengthen every boot; they are loaded while the guest boots."""
    heavy = ("zmq", "numpy", "qemu.qmp", "capstone", "duckdb")
    program = f"import sys, qemu_bridge.daemon.__main__; print([name for name in {heavy} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
