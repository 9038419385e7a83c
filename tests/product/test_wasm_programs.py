"""The programs of examples/gpu-run: modules belong to their sources, and lanes do what wasmtime does."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import wasi_programs
from wasi_programs import PROGRAMS, build, compare, modules, run_on_lanes, run_on_wasmtime

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/wasm-programs.md"
make = runpy.run_path(str(ROOT / "docs/make_wasm_programs.py"))
ON_LANES = ("hello", "count")
SHORT = ("hello", "count", "errors", "panic_index", "sort_numbers")
"""Programs that short runs run on lanes, and under wasmtime."""


def test_every_module_belongs_to_its_source():
    rows = json.loads(build["DIGESTS"].read_text())
    sources = {each.stem: each for each in build["sources"]()}
    assert rows.keys() == sources.keys() == modules().keys()
    for name, row in rows.items():
        assert row["source"] == build["digest"](sources[name].read_bytes()), f"{name}: run 'just wasm-programs'"
        assert row["module"] == build["digest"](modules()[name])


def test_modules_beside_their_sources_belong_to_them():
    assert build["PLAIN_DIGEST"].read_text().strip() == build["plain_digest"](), "run 'just wasm-programs'"


def test_there_are_as_many_programs_as_the_page_promises():
    languages = [each.language for each in PROGRAMS.values()]
    assert languages.count("Rust") >= 40 and languages.count("C") >= 10
    assert all(each.uses for each in PROGRAMS.values())


def test_the_page_is_of_these_programs():
    text = PAGE.read_text()
    assert make["marked"]() in text, "run 'just wasm-table'"
    found = re.findall(r"^\| (\[.*) \| (.*) \| (\d+) \| .* \| .* \|$", text, re.MULTILINE)
    assert found == [make["cells"](each) for each in PROGRAMS.values()]


@pytest.mark.parametrize("name", SHORT)
def test_wasmtime_ends_as_the_page_says(name):
    ends = ", ".join(dict.fromkeys(run_on_wasmtime(PROGRAMS[name], case).end for case in PROGRAMS[name].cases))
    (row,) = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| [{name}]")]
    assert row.split(" | ")[3] == ends


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=() if each in ON_LANES else pytest.mark.long) for each in PROGRAMS]
)
def test_lanes_do_what_the_page_says(name):
    pytest.importorskip("pixel_cpu.wasi")
    (row,) = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| [{name}]")]
    program = PROGRAMS[name]
    wanted = [run_on_wasmtime(program, case) for case in program.cases]
    verdict = row.split(" | ")[4].removesuffix(" |")
    assert compare(program, run_on_lanes(program), wanted) == ("same" if verdict == "not run" else verdict)


def test_a_difference_is_named():
    program = PROGRAMS["count"]
    wanted = [run_on_wasmtime(program, case) for case in program.cases]
    assert compare(program, wanted, wanted) == "same"
    assert compare(program, [wanted[1], *wanted[1:]], wanted) == "fox.txt: stdout differs"
    assert compare(program, [*wanted[:3], wanted[0]], wanted) == "no arguments: exit 0, not exit 2"


def test_the_modules_unpack(tmp_path):
    subprocess.run([sys.executable, build["__file__"], "--unpack", tmp_path], check=True, capture_output=True)
    assert {path.stem: path.read_bytes() for path in tmp_path.glob("*.wasm")} == modules()


@pytest.mark.long
def test_a_tool_chain_builds_the_same_module(tmp_path, monkeypatch):
    try:
        rust = build["find_rust"](print)
    except build["Unavailable"] as error:
        pytest.skip(f"no Rust for wasm here: {error}")
    for name in ("hello", "count"):
        build["build"](wasi_programs.FOLDER / f"{name}.rs", tmp_path / name, rust, [])
        assert (tmp_path / name).read_bytes() == modules()[name]
    assert shutil.which("dpkg-deb")
