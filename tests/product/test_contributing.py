"""The exercises of docs/contributing.md, carried out in a copy of the repository: they work as written."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/contributing.md").read_text()
COPIED = ("qemu_bridge", "viewer", "gpu_device", "gpu_hypervisor", "pixel_cpu", "tcg_plugin", "images", "tests", "docs")
_STEP = re.compile(r"<!-- (create|insert): (\S+?)(?:: (.*?))? -->\n```python\n(.*?)```", re.DOTALL)

pytestmark = pytest.mark.guest


def steps() -> list[tuple[str, str, str, str]]:
    """(action, file, marker, code) of each block of the document that changes a file."""
    return _STEP.findall(TEXT)


def run(copy: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (copy, copy / "tests")))}
    done = subprocess.run(
        [sys.executable, *words], cwd=copy, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """A copy of the packages and tests with every step applied."""
    folder = tmp_path_factory.mktemp("copy")
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for action, file, marker, code in steps():
        path = folder / file
        if action == "create":
            assert not path.exists()
            path.write_text(code)
            continue
        head, line, rest = re.split(rf"^( *{re.escape(marker)} -*\n)", path.read_text(), maxsplit=1, flags=re.MULTILINE)
        path.write_text(f"{head}{line}\n{code}{rest}")
    return folder


def test_an_exercise_is_one_file_and_its_test_or_one_row_and_one_function():
    assert [(action, file) for action, file, _, _ in steps() if not file.startswith("tests/")] == [
        ("create", "qemu_bridge/introspection/overlays/uptime.py"),
        ("insert", "qemu_bridge/wire/operations.py"),
        ("insert", "qemu_bridge/introspection/questions.py"),
        ("create", "qemu_bridge/trace/export/counts.py"),
    ]


def test_the_overlay_is_listed_both_clients_have_the_method_and_the_format_is_accepted(copy):
    program = """
from qemu_bridge.cli import make_parser
from qemu_bridge.client import AsyncClient, Client
from qemu_bridge.introspection.overlays import find_overlays
from qemu_bridge.trace.export import FORMATS
import qemu_bridge
print(qemu_bridge.__file__)
print("uptime" in find_overlays().overlays, "counts" in FORMATS)
print(all(hasattr(client, "boot_parameters") for client in (Client, AsyncClient)))
options = make_parser().parse_args(["trace", "export", "x.gbt", "--format", "counts", "-o", "x"])
print(options.format)
"""
    place, *answers = run(copy, "-c", program).splitlines()
    assert Path(place).is_relative_to(copy)
    assert answers == ["True True", "True", "counts"]


def test_the_protocol_table_has_the_new_row(copy):
    document = copy / "docs/protocol.md"
    assert "boot_parameters" not in document.read_text()
    run(copy, "-m", "qemu_bridge.wire.document", str(document))
    assert "| `boot_parameters` | none | `Answer[string]` | read | query |" in document.read_text()


def test_the_tests_of_the_exercises_pass_and_so_do_those_of_layers_and_operations(copy):
    own = [file for action, file, _, _ in steps() if action == "create" and file.startswith("tests/")]
    held = ["tests/product/test_layers.py", "tests/product/test_mirror.py", "tests/qemu_bridge/wire/test_operations.py"]
    about = "uptime or counts or boot_parameters or every_row_is or both_clients or public_function"
    assert "passed" in run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", *own, *held, "-k", about)


def test_the_code_of_the_exercises_is_formatted_and_linted(copy):
    files = [file for _, file, _, _ in steps()]
    ruff = Path(sys.executable).parent / "ruff"
    for words in (("format", "--check"), ("check",)):
        done = subprocess.run([ruff, *words, *files], cwd=copy, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
