"""docs/wasm.md: its program runs, and it names what is refused."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from pixel_cpu.frontends.wasm.opcodes import OTHER_PROPOSALS
from pixel_cpu.frontends.wasm.state import DEFAULT_PAGES, DEFAULT_STACK
from pixel_cpu.frontends.wasm.structure import MAX_BLOCKS
from pixel_cpu.runtime.printed import KEPT_BYTES
from pixel_cpu.wasi.descriptors import MOST_DESCRIPTORS
from pixel_cpu.wasi.table import CALLS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/wasm.md").read_text()
MODULES = ROOT / "tests/pixel_cpu/wasm_modules"


def test_the_programs_do_what_they_say(monkeypatch, capsys, tmp_path):
    found = [*MODULES.glob("*.wasm"), *(ROOT / "examples/gpu-run").glob("*/*.wasm")]
    for module in (*found, ROOT / "tests/pixel_cpu/wasi_programs/echo.wasm"):
        shutil.copy(module, tmp_path)
    monkeypatch.chdir(tmp_path)
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    exec(compile(code, "docs/wasm.md", "exec"), {})
    assert capsys.readouterr().out.splitlines() == re.findall(r"print\(.*\)  # (.*)", code)


def test_the_source_is_that_of_the_module():
    (source,) = re.findall(r"```c\n(.*?)```", PAGE, re.DOTALL)
    lines = source.splitlines()[1:]
    assert "\n".join(lines) in (MODULES / "collatz.c").read_text()


def test_every_extension_that_is_refused_is_named():
    for name in OTHER_PROPOSALS.values():
        assert name in PAGE
    assert f"deeper than {MAX_BLOCKS}" in PAGE and f"memory may grow: {DEFAULT_PAGES}" in PAGE
    assert f"table: {DEFAULT_STACK >> 10} KiB" in PAGE


def test_every_call_of_wasi_is_in_the_table():
    for name in CALLS:
        assert f"`{name}`" in PAGE
    assert f"at most {MOST_DESCRIPTORS} descriptors" in PAGE and f"Beyond {KEPT_BYTES >> 20} MiB" in PAGE
